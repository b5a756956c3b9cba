// The protocol graphql-transport-ws, rule by rule, by raw messages: the handshake, connection_init,
// malformed messages, pings and the end of a socket. operations.mjs covers the operations.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql node --test websocket.mjs
//
// The rules: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LIMIT, LOGIN, PASSWORD, register, TIMELINE, url } from "./client.mjs";
import { PROTOCOL, Socket, testWithSocket, watchTimeline } from "./socket.mjs";

const init = { type: "connection_init" };

const john = await register();
const login = { input: { username: john.username, password: PASSWORD } };

describe("handshake", () => {
  test("a client that offers graphql-transport-ws gets that subprotocol", LIMIT, async () => {
    const socket = await Socket.open();
    assert.equal(socket.ws.protocol, PROTOCOL);
    await socket.close();
  });

  test(
    "a client that offers graphql-transport-ws among others gets that subprotocol",
    LIMIT,
    async () => {
      const socket = await Socket.open(["graphql-ws", PROTOCOL, "other"]);
      assert.equal(socket.ws.protocol, PROTOCOL);
      await socket.close();
    },
  );

  for (const [name, protocols] of [
    ["no subprotocol", []],
    ["an unknown subprotocol", ["other"]],
    ["the subprotocol of subscriptions-transport-ws", ["graphql-ws"]],
    ["a subprotocol with a longer name", [`${PROTOCOL}2`]],
  ]) {
    test(`a client that offers ${name} is closed with 4406`, LIMIT, async () => {
      const socket = await Socket.open(protocols);
      assert.equal(socket.ws.protocol, "");
      await socket.isClosedWith(4406, "Subprotocol not acceptable");
    });
  }
});

// Browsers send no CORS preflight before they open a WebSocket.
describe("cross-site WebSocket hijacking", () => {
  for (const [name, headers] of [
    ["Origin: https://evil.example", { origin: "https://evil.example" }],
    ["the Origin of another port", { origin: "http://127.0.0.1:1" }],
    ["Origin: null, as from a sandboxed frame", { origin: "null" }],
    ["Sec-Fetch-Site: cross-site", { "sec-fetch-site": "cross-site" }],
    ["Sec-Fetch-Site: same-site", { "sec-fetch-site": "same-site" }],
  ]) {
    test(`a handshake with ${name} is rejected with 403 and CSRF_PREVENTED`, LIMIT, async () => {
      const { status, body } = await Socket.rejection(headers);
      assert.equal(status, 403);
      assert.equal(body.errors[0].extensions.code, "CSRF_PREVENTED", JSON.stringify(body));
    });
  }

  for (const [name, headers] of [
    ["the server's own Origin", { origin: new URL(url).origin }],
    ["Sec-Fetch-Site: same-origin", { "sec-fetch-site": "same-origin" }],
    ["neither Origin nor Sec-Fetch-Site", {}],
  ]) {
    test(`a handshake with ${name} is accepted`, LIMIT, async () => {
      const socket = await Socket.open([PROTOCOL], headers);
      socket.send(init);
      assert.equal((await socket.next()).type, "connection_ack");
      await socket.close();
    });
  }
});

describe("connection_init", () => {
  const as = (authorization) => ({ type: "connection_init", payload: { authorization } });

  for (const [name, message] of [
    ["no payload", init],
    ["the payload null", { ...init, payload: null }],
    ["an empty object as payload", { ...init, payload: {} }],
    ["unknown keys in its payload", { ...init, payload: { a: { b: [1, null] } } }],
    ["the token null", as(null)],
    ["a blank token", as(" ")],
    ["a token in headers", { ...init, payload: { headers: as(`Bearer ${john.token}`).payload } }],
    ["a token", as(`Bearer ${john.token}`)],
    [
      "a token under the key Authorization",
      { ...init, payload: { Authorization: `Bearer ${john.token}` } },
    ],
  ]) {
    test(`connection_init with ${name} is acknowledged`, LIMIT, async () => {
      const socket = await Socket.open();
      socket.send(message);
      const { type, payload = {}, ...rest } = await socket.next();
      assert.equal(type, "connection_ack");
      assert(payload === null || (typeof payload === "object" && !Array.isArray(payload)));
      assert.deepEqual(rest, {});
      socket.subscribe("1", "{ viewer { user { username } } }");
      const hasToken = JSON.stringify(message).includes(john.token);
      const viewer = hasToken ? { user: { username: john.username } } : null;
      assert.deepEqual((await socket.operation("1"))[0].payload, { data: { viewer } });
      await socket.close();
    });
  }

  for (const [name, token] of [
    ["an invalid token", "Bearer wrong"],
    ["another authentication scheme", `Basic ${john.token}`],
  ]) {
    test(`connection_init with ${name} closes the socket with 4403`, LIMIT, async () => {
      const socket = await Socket.open();
      socket.send(as(token));
      await socket.isClosedWith(4403, "Forbidden");
      assert.deepEqual(socket.messages, []);
    });
  }

  for (const [name, payload] of [
    ["a number as authorization", { authorization: 1 }],
    ["a parameter token", { token: john.token }],
    ["a parameter authToken", { authToken: john.token }],
    ["a header x-api-key", { headers: { "x-api-key": john.token } }],
  ]) {
    test(`connection_init with ${name} closes the socket with 4403`, LIMIT, async () => {
      const socket = await Socket.open();
      socket.send({ type: "connection_init", payload });
      const reason = 'Forbidden: send the token as {"authorization": "Bearer <token>"}';
      await socket.isClosedWith(4403, reason);
      assert.deepEqual(socket.messages, []);
    });
  }

  test("connection_init after connection_ack closes the socket with 4429", LIMIT, async () => {
    const socket = await Socket.connect(john);
    socket.send(init);
    await socket.isClosedWith(4429, "Too many initialisation requests");
  });

  test(
    "connection_init twice before connection_ack closes the socket with 4429",
    LIMIT,
    async () => {
      const socket = await Socket.open();
      socket.send(init, init);
      await socket.isClosedWith(4429, "Too many initialisation requests");
    },
  );

  test("connection_init during an operation closes the socket with 4429", LIMIT, async () => {
    const socket = await Socket.connect(john);
    await watchTimeline(socket, john, "1");
    socket.send(init);
    await socket.isClosedWith(4429, "Too many initialisation requests");
  });

  test("subscribe before connection_init closes the socket with 4401", LIMIT, async () => {
    const socket = await Socket.open();
    socket.subscribe("1", "{ __typename }");
    await socket.isClosedWith(4401, "Unauthorized");
    assert.deepEqual(socket.messages, []);
  });
});

describe("malformed messages", () => {
  const payload = { query: "{ __typename }" };
  const subscribe = (more) => ({ id: "1", type: "subscribe", payload: { ...payload, ...more } });
  const malformed = [
    ["an empty message", ""],
    ["a message that is no JSON", "{"],
    ["JSON with trailing text", `${JSON.stringify({ type: "ping" })} {}`],
    ["a string", '"ping"'],
    ["a number", "1"],
    ["null", "null"],
    ["an empty list", "[]"],
    ["a list of messages", JSON.stringify([{ type: "ping" }, { type: "ping" }])],
    ["a message without a type", "{}"],
    ["the type null", { type: null }],
    ["a number as type", { type: 1 }],
    ["an unknown type", { type: "unknown" }],
    ["an unknown type that is longer than a close reason may be", { type: "🐦".repeat(1000) }],
    ["a type in capitals", { type: "PING" }],
    ["a type of subscriptions-transport-ws", { id: "1", type: "start", payload }],
    ["the server's type connection_ack", { type: "connection_ack" }],
    ["the server's type next", { id: "1", type: "next", payload: { data: {} } }],
    ["the server's type error", { id: "1", type: "error", payload: [{ message: "" }] }],
    ["complete without an id", { type: "complete" }],
    ["complete with a number as id", { id: 1, type: "complete" }],
    ...["ping", "pong"].flatMap((type) =>
      ["text", 1, true, [1]].map((payload) => [
        `${type} with the payload ${JSON.stringify(payload)}`,
        { type, payload },
      ]),
    ),
  ];
  const malformedInit = ["text", 1, true, [1]].map((payload) => [
    `connection_init with the payload ${JSON.stringify(payload)}`,
    { ...init, payload },
  ]);
  const malformedSubscribe = [
    ["subscribe without an id", { type: "subscribe", payload }],
    ["subscribe with the id null", { id: null, type: "subscribe", payload }],
    ["subscribe with a number as id", { id: 1, type: "subscribe", payload }],
    ["subscribe with an empty id", { id: "", type: "subscribe", payload }],
    ["subscribe without a payload", { id: "1", type: "subscribe" }],
    ["subscribe with the payload null", { id: "1", type: "subscribe", payload: null }],
    ["subscribe with an empty list as payload", { id: "1", type: "subscribe", payload: [] }],
    [
      "subscribe with a list of valid parameters as payload",
      { id: "1", type: "subscribe", payload: [payload.query, null, null] },
    ],
    ["subscribe without a query", { id: "1", type: "subscribe", payload: {} }],
    ...[null, 1, ["{ __typename }"], {}].map((query) => [
      `subscribe with the query ${JSON.stringify(query)}`,
      subscribe({ query }),
    ]),
    ...[1, ["a"], {}].map((operationName) => [
      `subscribe with the operationName ${JSON.stringify(operationName)}`,
      subscribe({ operationName }),
    ]),
    ...["a", 1, true, [1]].map((variables) => [
      `subscribe with the variables ${JSON.stringify(variables)}`,
      subscribe({ variables }),
    ]),
    ...["a", 1, true, [1]].map((extensions) => [
      `subscribe with the extensions ${JSON.stringify(extensions)}`,
      subscribe({ extensions }),
    ]),
  ];

  for (const [when, open, messages] of [
    ["before connection_init", () => Socket.open(), [...malformed, ...malformedInit]],
    ["after connection_ack", () => Socket.connect(john), [...malformed, ...malformedSubscribe]],
  ]) {
    for (const [name, message] of messages) {
      test(`${name} ${when} closes the socket with 4400`, LIMIT, async () => {
        const socket = await open();
        socket.send(message);
        // A server that accepts the message answers the ping after it.
        const accepted = await socket.drain().catch(() => null);
        if (accepted) assert.fail(`the server sent ${JSON.stringify(accepted)}`);
        await socket.isClosedWith(4400);
      });
    }

    test(`a binary message ${when} closes the socket with 4400`, LIMIT, async () => {
      const socket = await open();
      socket.ws.send(Buffer.from(JSON.stringify({ type: "ping" })), { binary: true });
      await socket.isClosedWith(4400);
    });
  }

  test(
    "a malformed message during operations closes the socket before they answer",
    LIMIT,
    async () => {
      const socket = await Socket.connect(john);
      await watchTimeline(socket, john, "1");
      socket.subscribe("2", LOGIN, login);
      socket.send("{");
      await socket.isClosedWith(4400);
      assert.deepEqual(socket.messages, []);
    },
  );
});

describe("ping and pong", () => {
  for (const [when, open] of [
    ["before connection_init", () => Socket.open()],
    ["after connection_ack", () => Socket.connect()],
  ]) {
    test(`a ping ${when} is answered by a pong with the same payload`, LIMIT, async () => {
      const socket = await open();
      socket.send({ type: "ping" });
      assert.deepEqual(await socket.next(), { type: "pong" });
      socket.send({ type: "ping", payload: null });
      const { payload, ...pong } = await socket.next();
      assert.deepEqual([pong, payload ?? null], [{ type: "pong" }, null]);
      socket.send({ type: "ping", payload: {} });
      assert.deepEqual((await socket.next()).type, "pong");
      const deep = { n: 1, text: 'ü\n"🐦', list: [null, { a: false }] };
      socket.send({ type: "ping", payload: deep });
      assert.deepEqual(await socket.next(), { type: "pong", payload: deep });
      await socket.close();
    });

    test(`a pong without a ping ${when} is ignored`, LIMIT, async () => {
      const socket = await open();
      socket.send(
        { type: "pong" },
        { type: "pong", payload: null },
        { type: "pong", payload: { n: 1 } },
      );
      assert.deepEqual(await socket.drain(), []);
      await socket.close();
    });
  }

  testWithSocket(
    "a WebSocket ping frame is answered by a pong frame with the same payload",
    null,
    async (socket) => {
      const pong = new Promise((resolve) => socket.ws.on("pong", (data) => resolve(String(data))));
      socket.ws.ping("hello");
      assert.equal(await pong, "hello");
    },
  );

  testWithSocket(
    "a message in two frames with a ping frame between them is read as one message",
    null,
    async (socket) => {
      const text = JSON.stringify({ type: "ping", payload: { n: 1 } });
      socket.ws.send(text.slice(0, 9), { fin: false });
      socket.ws.ping();
      socket.ws.send(text.slice(9), { fin: true });
      assert.deepEqual(await socket.next(), { type: "pong", payload: { n: 1 } });
    },
  );
});

describe("closing", () => {
  test("a close with 1000 by the client is answered with 1000", LIMIT, async () => {
    const socket = await Socket.connect(john);
    await watchTimeline(socket, john, "1");
    socket.ws.close(1000);
    assert.equal((await socket.closed).code, 1000);
  });

  test("clients that drop the connection leave no subscription open", LIMIT, async () => {
    for (let n = 0; n < 64; n++) {
      const socket = await Socket.connect(john);
      socket.subscribe("1", TIMELINE);
      socket.ws.terminate();
      // At most 32 at a time: the server's limit for the streams of one user.
      if (n % 16 === 15) await sleep(250);
    }
    await (await Socket.connect(john)).close();
  });
});
