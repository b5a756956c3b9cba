// The protocol graphql-transport-ws, rule by rule, by raw messages: operations, their ids and their
// end. websocket.mjs covers the socket.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql node --test operations.mjs
//
// The rules: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  createPost,
  deleteAccount,
  follow,
  FOLLOW_COUNTS,
  LIMIT,
  LOGIN,
  logout,
  PASSWORD,
  register,
  TIMELINE,
} from "./client.mjs";
import { postMessage, Socket, typenameMessages, testWithSocket, watchTimeline } from "./socket.mjs";

const [john, susan] = await Promise.all([register(), register()]);
await follow(john, susan);
const login = { input: { username: john.username, password: PASSWORD } };

describe("operations with a single result", () => {
  testWithSocket("a query gets one next, then complete", john, async (socket) => {
    socket.subscribe("1", "{ __typename }");
    assert.deepEqual(await socket.operation("1"), typenameMessages("1"));
  });

  testWithSocket("a mutation gets one next, then complete", john, async (socket) => {
    socket.subscribe("1", 'mutation { createPost(input: {body: "Hello"}) { post { body } } }');
    const data = { createPost: { post: { body: "Hello" } } };
    const next = { id: "1", type: "next", payload: { data } };
    assert.deepEqual(await socket.operation("1"), [next, { id: "1", type: "complete" }]);
  });

  testWithSocket(
    "operationName and variables select and parameterise the operation",
    john,
    async (socket) => {
      const query = `query A { __typename }
      query B($yes: Boolean!) { a: __typename viewer @include(if: $yes) { email } }`;
      socket.subscribe(
        "1",
        query,
        { yes: false },
        { operationName: "B", extensions: { any: ["thing"] } },
      );
      assert.deepEqual((await socket.operation("1"))[0].payload, { data: { a: "Query" } });
    },
  );

  testWithSocket("operationName, variables and extensions may be null", john, async (socket) => {
    socket.subscribe("1", "{ __typename }", null, { operationName: null, extensions: null });
    assert.deepEqual(await socket.operation("1"), typenameMessages("1"));
  });

  testWithSocket("an execution error is in next, and complete follows", john, async (socket) => {
    socket.subscribe("1", '{ __typename node(id: "?") { id } }');
    const [
      {
        type,
        payload: { data, errors },
      },
      complete,
    ] = await socket.operation("1");
    assert.equal(type, "next");
    assert(data === null || data.node === null);
    assert.equal(errors[0].extensions.code, "INVALID_ID");
    assert.deepEqual(complete, { id: "1", type: "complete" });
  });

  for (const [name, query, variables, more, code] of [
    ["with a syntax error", "{", null, null, "GRAPHQL_PARSE_FAILED"],
    ["without content", "", null, null, "GRAPHQL_PARSE_FAILED"],
    ["with an unknown field", "{ nope }", null, null, "GRAPHQL_VALIDATION_FAILED"],
    [
      "with an unknown field of a subscription",
      "subscription { nope }",
      null,
      null,
      "GRAPHQL_VALIDATION_FAILED",
    ],
    [
      "with a missing variable",
      "query ($id: ID!) { node(id: $id) { id } }",
      {},
      null,
      "GRAPHQL_VALIDATION_FAILED",
    ],
    [
      "with a variable of the wrong type",
      FOLLOW_COUNTS,
      { userId: [] },
      null,
      "GRAPHQL_VALIDATION_FAILED",
    ],
    [
      "without the named operation",
      "query A { __typename }",
      null,
      { operationName: "B" },
      "GRAPHQL_VALIDATION_FAILED",
    ],
  ]) {
    testWithSocket(
      `a document ${name} gets error only, and its id can be used again`,
      john,
      async (socket) => {
        for (const _ of [1, 2]) {
          socket.subscribe("1", query, variables, more);
          const messages = await socket.operation("1");
          assert.deepEqual(
            messages.map(({ type }) => type),
            ["error"],
          );
          const [{ payload, ...rest }] = messages;
          assert.deepEqual(rest, { id: "1", type: "error" });
          assert(payload.length > 0 && payload.every(({ message }) => typeof message === "string"));
          assert.equal(payload[0].extensions.code, code);
        }
      },
    );
  }

  for (const [name, user, query] of [
    ["without a token", null, TIMELINE],
    ["with an invalid argument", john, 'subscription { followCounts(userId: "?") { id } }'],
  ]) {
    testWithSocket(
      `a subscription ${name} gets error only, and its id can be used again`,
      user,
      async (socket) => {
        for (const _ of [1, 2]) {
          socket.subscribe("1", query);
          assert.deepEqual(
            (await socket.operation("1")).map(({ type }) => type),
            ["error"],
          );
        }
      },
    );
  }
});

describe("subscriptions", () => {
  testWithSocket(
    "a subscription gets one next for each event, and no complete",
    john,
    async (socket) => {
      await watchTimeline(socket, john, "1");
      for (const body of ["one", "two", "three"]) {
        const id = await createPost(susan, body);
        assert.deepEqual(await socket.next(), postMessage("1", id));
      }
      socket.send({ id: "1", type: "complete" });
    },
  );

  testWithSocket(
    "a subscription that the server ends gets complete, and its id can be used again",
    john,
    async (socket) => {
      const mary = await register();
      const first = {
        id: "1",
        type: "next",
        payload: { data: { followCounts: { followersCount: 0 } } },
      };
      for (const _ of [1, 2]) {
        socket.subscribe("1", FOLLOW_COUNTS, { userId: mary.id });
        assert.deepEqual(await socket.next(), first);
        socket.send({ id: "1", type: "complete" });
      }
      socket.subscribe("1", FOLLOW_COUNTS, { userId: mary.id });
      assert.equal((await socket.next()).type, "next");
      await deleteAccount(mary);
      assert.deepEqual(await socket.operation("1"), [{ id: "1", type: "complete" }]);
      socket.subscribe("1", "{ __typename }");
      assert.deepEqual(await socket.operation("1"), typenameMessages("1"));
    },
  );

  test(
    "a subscription whose session ends gets its errors, is completed, and gets nothing after",
    LIMIT,
    async () => {
      const mary = await register();
      await follow(mary, susan);
      const socket = await Socket.connect(mary);
      await watchTimeline(socket, mary, "1");
      const id = await createPost(susan, "while mary is logged in");
      assert.deepEqual(await socket.next(), postMessage("1", id));
      await logout(mary);
      await createPost(susan, "after mary has logged out");
      const received = await socket.operation("1");
      const [last] = received;
      const errors =
        received.length === 1 && last.type === "error" ? last.payload : last.payload.errors;
      assert.equal(errors[0].extensions.code, "UNAUTHENTICATED", JSON.stringify(received));
      const isNextAndComplete = received.length === 2 && received[1].type === "complete";
      assert(last.type === "error" || isNextAndComplete, JSON.stringify(received));
      await createPost(susan, "after the end of the subscription");
      assert.deepEqual(await socket.drain(), []);
      await socket.close();
    },
  );
});

describe("complete by the client", () => {
  testWithSocket("complete ends its subscription and no other", john, async (socket) => {
    await watchTimeline(socket, john, "1", "2");
    const id = await createPost(susan, "for both");
    const both = [await socket.next(), await socket.next()].sort((a, b) => a.id - b.id);
    assert.deepEqual(both, [postMessage("1", id), postMessage("2", id)]);
    socket.send({ id: "1", type: "complete" });
    assert.deepEqual(await socket.drain(), [], "the server answered complete");
    for (const body of ["for the other", "again"]) {
      const id = await createPost(susan, body);
      assert.deepEqual(await socket.next(), postMessage("2", id));
    }
    await sleep(100);
    assert.deepEqual(await socket.drain(), [], "a message after complete");
    socket.send({ id: "2", type: "complete" });
  });

  testWithSocket(
    "an id can be used again right after complete, for any operation",
    john,
    async (socket) => {
      for (let n = 0; n < 20; n++) {
        socket.subscribe("1", TIMELINE);
        socket.send({ id: "1", type: "complete" });
      }
      socket.subscribe("1", "{ __typename }");
      assert.deepEqual(await socket.operation("1"), typenameMessages("1"));
    },
  );

  testWithSocket("complete before the only result suppresses the result", john, async (socket) => {
    const start = Date.now();
    socket.subscribe("1", LOGIN, login);
    assert.deepEqual((await socket.operation("1"))[0].payload, {
      data: { login: { userErrors: [] } },
    });
    const duration = Date.now() - start;
    socket.subscribe("2", LOGIN, login);
    socket.send({ id: "2", type: "complete" });
    await sleep(3 * duration + 100);
    assert.deepEqual(await socket.drain(), []);
  });

  testWithSocket("complete with an unknown id is ignored", john, async (socket) => {
    socket.send({ id: "unknown", type: "complete" });
    socket.subscribe("1", "{ __typename }");
    assert.deepEqual(await socket.operation("1"), typenameMessages("1"));
  });

  testWithSocket("complete after the server's complete is ignored", john, async (socket) => {
    socket.subscribe("1", "{ __typename }");
    await socket.operation("1");
    socket.send({ id: "1", type: "complete" }, { id: "1", type: "complete" });
  });

  testWithSocket("complete after the server's error is ignored", john, async (socket) => {
    socket.subscribe("1", "{ nope }");
    await socket.operation("1");
    socket.send({ id: "1", type: "complete" }, { id: "1", type: "complete" });
  });

  testWithSocket(
    "complete that crosses the result gets the whole result or nothing, and nothing after",
    john,
    async (socket) => {
      const durations = [];
      for (let n = 0; n < 21; n++) {
        const start = performance.now();
        socket.subscribe("1", "{ __typename }");
        await socket.operation("1");
        durations.push(performance.now() - start);
      }
      const median = durations.sort((a, b) => a - b)[10];
      const counts = new Set();
      for (let n = 0; n < 150; n++) {
        socket.subscribe("1", "{ __typename }");
        // Every other complete is sent at once. The others are sent after a delay that grows to
        // three times the median duration, when the server has certainly answered.
        const until = performance.now() + 3 * median * (n % 2) * (n / 150);
        while (performance.now() < until) await new Promise(setImmediate);
        socket.send({ id: "1", type: "complete" });
        const received = await socket.drain();
        assert.deepEqual(received, typenameMessages("1").slice(0, received.length));
        counts.add(received.length);
      }
      assert(counts.has(0) && counts.has(2), `the numbers of messages were ${[...counts]}`);
    },
  );

  testWithSocket(
    "complete that crosses an event gets the event or nothing, and nothing after",
    john,
    async (socket) => {
      const counts = new Set();
      let longest = 0;
      for (let n = 0; n < 60; n++) {
        await watchTimeline(socket, john, "1");
        await socket.drain();
        const start = performance.now();
        const creation = createPost(susan, "news");
        // The first ten rounds measure the time from a post to its event.
        if (n < 10) {
          const id = await creation;
          assert.deepEqual(await socket.next(), postMessage("1", id));
          longest = Math.max(longest, performance.now() - start);
        } else {
          await sleep(2 * longest * ((n % 25) / 25));
        }
        socket.send({ id: "1", type: "complete" });
        const received = await socket.drain();
        const id = await creation;
        await sleep(longest);
        assert.deepEqual(await socket.drain(), []);
        if (n < 10) continue;
        assert.deepEqual(received, received.length ? [postMessage("1", id)] : []);
        counts.add(received.length);
      }
      assert(counts.has(0) && counts.has(1), `the numbers of messages were ${[...counts]}`);
    },
  );
});

describe("operation ids", () => {
  for (const [name, first, second] of [
    ["a subscription with the id of a running subscription", [TIMELINE], [TIMELINE]],
    ["a query with the id of a running subscription", [TIMELINE], ["{ __typename }"]],
    ["a subscription with the id of a running mutation", [LOGIN, login], [TIMELINE]],
    ["an invalid document with the id of a running subscription", [TIMELINE], ["{"]],
  ]) {
    test(`${name} closes the socket with 4409`, LIMIT, async () => {
      const socket = await Socket.connect(john);
      socket.subscribe("same id", ...first);
      socket.subscribe("same id", ...second);
      await socket.isClosedWith(4409, "Subscriber for same id already exists");
      assert.deepEqual(socket.messages, []);
    });
  }

  test(
    "an id in use that is longer than a close reason may be closes the socket with 4409",
    LIMIT,
    async () => {
      const socket = await Socket.connect(john);
      for (const _ of [1, 2]) socket.subscribe("ü".repeat(500), TIMELINE);
      await socket.isClosedWith(4409);
    },
  );

  test("an id of more than 1,024 bytes closes the socket with 4400", LIMIT, async () => {
    const socket = await Socket.connect(john);
    socket.subscribe("ü".repeat(513), TIMELINE);
    await socket.isClosedWith(4400);
  });

  testWithSocket("an id can be used again after the server's complete", john, async (socket) => {
    for (let n = 0; n < 20; n++) {
      socket.subscribe("1", "{ __typename }");
      assert.deepEqual(await socket.operation("1"), typenameMessages("1"));
    }
  });

  test("two sockets of a user can use the same id", LIMIT, async () => {
    const sockets = await Promise.all([Socket.connect(john), Socket.connect(john)]);
    await Promise.all(sockets.map((socket) => watchTimeline(socket, john, "1")));
    const id = await createPost(susan, "for both sockets");
    for (const socket of sockets) assert.deepEqual(await socket.next(), postMessage("1", id));
    await Promise.all(sockets.map((socket) => socket.close()));
  });

  testWithSocket("an id may be any text, and is returned unchanged", john, async (socket) => {
    for (const id of [" ", '"\\\n\u0000\u2028', "🐦 ü", "__proto__", "x".repeat(1000)]) {
      socket.subscribe(id, "{ __typename }");
      assert.deepEqual(await socket.operation(id), typenameMessages(id));
    }
  });

  testWithSocket(
    "40 subscriptions and 40 queries on one socket each get their own messages",
    john,
    async (socket) => {
      const subscriptions = Array.from({ length: 40 }, (_, n) => `subscription ${n}`);
      const queries = Array.from({ length: 40 }, (_, n) => `query ${n}`);
      await watchTimeline(socket, john, ...subscriptions);
      const received = new Map([...subscriptions, ...queries].map((id) => [id, []]));
      const creation = createPost(susan, "for all subscriptions");
      for (const id of queries) socket.subscribe(id, `query { __typename } # ${id}`);
      for (let n = 0; n < subscriptions.length + 2 * queries.length; n++) {
        const message = await socket.next();
        received.get(message.id).push(message);
      }
      const postId = await creation;
      for (const id of subscriptions) assert.deepEqual(received.get(id), [postMessage(id, postId)]);
      for (const id of queries) assert.deepEqual(received.get(id), typenameMessages(id));
      for (const id of subscriptions) socket.send({ id, type: "complete" });
    },
  );
});
