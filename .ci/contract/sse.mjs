// Server-sent events by the protocol graphql-sse in its distinct connections mode: first by raw
// responses, then by the reference client graphql-sse.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql node --test sse.mjs
//
// The rules: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "graphql-sse";
import {
  createPost,
  deleteAccount,
  follow,
  FOLLOW_COUNTS,
  LIMIT,
  logout,
  register,
  streamCursor,
  TIMELINE,
  url,
} from "./client.mjs";
import { get, isEventStream, open, post, Stream, watchTimeline } from "./stream.mjs";

const CREATE = "mutation ($body: String!) { createPost(input: {body: $body}) { post { body } } }";

const nextEvent = (data) => ({ event: "next", data: { data } });
const completeEvent = { event: "complete", data: "" };
const postEvent = (id) => nextEvent({ timelineEvents: { edge: { node: { id } } } });

const [john, susan] = await Promise.all([register(), register()]);
await follow(john, susan);

describe("response head", () => {
  test("a POST gets 200 and text/event-stream, and must not be cached", LIMIT, async () => {
    const response = await post({ query: "{ __typename }" });
    isEventStream(response);
    assert.match(response.headers.get("cache-control"), /no-cache|no-store/);
  });

  test("a GET gets 200 and text/event-stream", LIMIT, async () => {
    const query = "query ($id: ID!) { node(id: $id) { id } }";
    const response = await get({ query, variables: JSON.stringify({ id: susan.id }) });
    isEventStream(response);
    const events = await new Stream(response).rest();
    assert.deepEqual(events, [nextEvent({ node: { id: susan.id } }), completeEvent]);
  });

  for (const accept of [
    "text/event-stream, application/json;q=0.5",
    "application/json;q=0.5, text/event-stream",
    "Text/Event-Stream",
  ]) {
    test(`a request with Accept: ${accept} gets text/event-stream`, LIMIT, async () => {
      const response = await post({ accept, query: "{ __typename }" });
      isEventStream(response);
      await response.text();
    });
  }
});

describe("events", () => {
  test("a query gets one next, then complete, and the stream ends", LIMIT, async () => {
    const stream = await open({ query: "{ __typename }" });
    assert.deepEqual(await stream.next(), nextEvent({ __typename: "Query" }));
    assert.deepEqual(await stream.rest(), [completeEvent]);
  });

  test(
    "complete has a data field, because an EventSource ignores an event without data",
    LIMIT,
    async () => {
      const text = await (await post({ query: "{ __typename }" })).text();
      assert.match(text, /^event: ?complete\ndata:\s*\n\n/m, JSON.stringify(text));
    },
  );

  test("a mutation gets one next, then complete", LIMIT, async () => {
    const body = 'Hello\n\n"data: 1"\n🐦';
    const stream = await open({ user: john, query: CREATE, variables: { body } });
    assert.deepEqual(await stream.next(), nextEvent({ createPost: { post: { body } } }));
    assert.deepEqual(await stream.rest(), [completeEvent]);
  });

  test("an execution error is in next, and complete follows", LIMIT, async () => {
    const stream = await open({ query: '{ __typename node(id: "?") { id } }' });
    const {
      event,
      data: { data, errors },
    } = await stream.next();
    assert.equal(event, "next");
    assert(data === null || data.node === null);
    assert.equal(errors[0].extensions.code, "INVALID_ID");
    assert.deepEqual(await stream.rest(), [completeEvent]);
  });

  test("a subscription gets one next for each event", LIMIT, async () => {
    const stream = await watchTimeline(john);
    for (const body of ["one", "two", "three"]) {
      const id = await createPost(susan, body);
      assert.deepEqual(await stream.next(), postEvent(id));
    }
    stream.abort();
  });

  test("a subscription by GET gets its events", LIMIT, async () => {
    const variables = JSON.stringify({ userId: susan.id });
    const response = await get({ query: FOLLOW_COUNTS, variables });
    isEventStream(response);
    const stream = new Stream(response);
    assert.deepEqual(await stream.next(), nextEvent({ followCounts: { followersCount: 1 } }));
    await stream.events.return();
  });

  test(
    "a subscription that the server ends gets complete, and the stream ends",
    LIMIT,
    async () => {
      const mary = await register();
      const stream = await open({ query: FOLLOW_COUNTS, variables: { userId: mary.id } });
      assert.deepEqual(await stream.next(), nextEvent({ followCounts: { followersCount: 0 } }));
      await deleteAccount(mary);
      assert.deepEqual(await stream.rest(), [completeEvent]);
    },
  );

  test(
    "a subscription whose session ends gets a last next with errors, then complete",
    LIMIT,
    async () => {
      const mary = await register();
      await follow(mary, susan);
      const stream = await watchTimeline(mary);
      const id = await createPost(susan, "while mary is logged in");
      assert.deepEqual(await stream.next(), postEvent(id));
      await logout(mary);
      await createPost(susan, "after mary has logged out");
      const [last, ...rest] = await stream.rest();
      assert.equal(last.data.errors[0].extensions.code, "UNAUTHENTICATED");
      assert.deepEqual(rest, [completeEvent]);
    },
  );

  test("ten streams of a user each get their own events", LIMIT, async () => {
    const streams = await Promise.all(Array.from({ length: 10 }, () => watchTimeline(john)));
    const id = await createPost(susan, "for all streams");
    for (const stream of streams) assert.deepEqual(await stream.next(), postEvent(id));
    for (const stream of streams) stream.abort();
  });

  test("clients that drop the connection leave no stream open", LIMIT, async () => {
    for (let n = 0; n < 64; n++) {
      (await watchTimeline(john)).abort();
      // At most 32 at a time: the server's limit for the streams of one user.
      if (n % 16 === 15) await sleep(250);
    }
  });
});

describe("rejected requests", () => {
  for (const [name, query, variables, code] of [
    ["an unknown field", "{ nope }", null, "GRAPHQL_VALIDATION_FAILED"],
    [
      "an unknown field of a subscription",
      "subscription { nope }",
      null,
      "GRAPHQL_VALIDATION_FAILED",
    ],
    ["a missing variable", FOLLOW_COUNTS, {}, "GRAPHQL_VALIDATION_FAILED"],
    ["a subscription without a token", TIMELINE, null, "UNAUTHENTICATED"],
    ["a subscription with an invalid argument", FOLLOW_COUNTS, { userId: "?" }, "INVALID_ID"],
  ]) {
    test(`${name} gets a next with errors, then complete`, LIMIT, async () => {
      const stream = await open({ query, variables });
      const { event, data } = await stream.next();
      assert.equal(event, "next");
      assert.equal(data.errors[0].extensions.code, code);
      assert.deepEqual(await stream.rest(), [completeEvent]);
    });
  }

  const isRejectedWith = async (response, status) => {
    assert.equal(response.status, status);
    assert.match(response.headers.get("content-type"), /^application\/json/);
    const { data, errors } = await response.json();
    assert.equal(data, undefined);
    assert(errors.length > 0 && errors.every(({ message }) => typeof message === "string"));
  };

  test("a document with a syntax error gets 400 and JSON", LIMIT, async () => {
    await isRejectedWith(await post({ query: "{" }), 400);
  });

  test("a request without a query gets 400 and JSON", LIMIT, async () => {
    await isRejectedWith(await post({}), 400);
  });

  test("an invalid token gets 401 and JSON", LIMIT, async () => {
    const response = await post({ user: { token: "wrong" }, query: "{ __typename }" });
    await isRejectedWith(response, 401);
  });

  test("a mutation by GET gets 405 and JSON", LIMIT, async () => {
    const response = await get({ query: "mutation { __typename }" });
    assert.equal(response.headers.get("allow"), "POST");
    await isRejectedWith(response, 405);
  });
});

describe("the client graphql-sse", () => {
  const clients = [];
  after(() => {
    for (const client of clients) client.dispose();
  });
  const newClient = (user) => {
    const headers = user && { authorization: `Bearer ${user.token}` };
    const client = createClient({ url, headers, retryAttempts: 0 });
    clients.push(client);
    return client;
  };
  // The only result of a query or a mutation.
  const execute = async (client, request) => {
    const results = [];
    for await (const result of client.iterate(request)) results.push(result);
    assert.equal(results.length, 1);
    return results[0];
  };

  test("a query and a mutation get their results", LIMIT, async () => {
    const client = newClient(john);
    assert.deepEqual(await execute(client, { query: "{ viewer { user { username } } }" }), {
      data: { viewer: { user: { username: john.username } } },
    });
    const { data } = await execute(client, { query: CREATE, variables: { body: "Hi" } });
    assert.deepEqual(data, { createPost: { post: { body: "Hi" } } });
  });

  test("a subscription that the client ends leaves another running", LIMIT, async () => {
    const client = newClient(john);
    const request = { query: TIMELINE, variables: { after: await streamCursor(john) } };
    const [ended, kept] = [client.iterate(request), client.iterate(request)];
    const id = await createPost(susan, "for two");
    for (const { value } of [await ended.next(), await kept.next()]) {
      assert.equal(value.data.timelineEvents.edge.node.id, id);
    }
    await ended.return();
    const next = await createPost(susan, "for one");
    assert.equal((await kept.next()).value.data.timelineEvents.edge.node.id, next);
    await kept.return();
  });

  test("a subscription that the server ends completes", LIMIT, async () => {
    const mary = await register();
    const counts = newClient().iterate({ query: FOLLOW_COUNTS, variables: { userId: mary.id } });
    assert.equal((await counts.next()).value.data.followCounts.followersCount, 0);
    await deleteAccount(mary);
    assert.deepEqual(await counts.next(), { done: true, value: undefined });
  });

  test("an invalid document is a result with errors", LIMIT, async () => {
    const { errors } = await execute(newClient(), { query: "{ nope }" });
    assert.equal(errors[0].extensions.code, "GRAPHQL_VALIDATION_FAILED");
  });

  test("an invalid token is reported as 401", LIMIT, async () => {
    const client = newClient({ token: "wrong" });
    const request = { query: "{ __typename }" };
    const error = await execute(client, request).then(
      () => null,
      (error) => error,
    );
    assert.equal(error?.response?.status, 401);
  });
});
