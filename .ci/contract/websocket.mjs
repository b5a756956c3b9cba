// The protocol graphql-transport-ws, rule by rule, by messages as they are: who may open a socket, how it begins and
// ends, and what is no message. See operations.mjs for the rest.
//
//     node websocket.mjs http://127.0.0.1:8000/graphql
//
// The rules: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { PASSWORD, register, TIMELINE } from "./ask.mjs";
import { address, check } from "./checks.mjs";
import { listen, LOGIN, PROTOCOL, Socket, withSocket } from "./socket.mjs";

const url = address();
// Longer than a server may reasonably wait for the first message, and be silent.
const PATIENCE = 45_000;
const init = { type: "connection_init" };

const john = await register(url);
const login = { input: { username: john.username, password: PASSWORD } };

// What takes long goes on beside the rest.
const slow = [
  check("no connection_init in time: 4408, and pings do not count", async () => {
    const socket = await Socket.open();
    const pinging = setInterval(() => socket.send({ type: "ping" }), 1000);
    try {
      await socket.closes(4408, "Connection initialisation timeout");
    } finally {
      clearInterval(pinging);
    }
  }, PATIENCE),
  check("an acknowledged socket stays open, and the server pings it", async () => {
    const socket = await Socket.of(john);
    const pinged = new Promise((resolve) => socket.ws.on("ping", resolve));
    await Promise.race([pinged, socket.next()]);
    assert.deepEqual(await socket.untilNow(), []);
    await socket.ends();
  }, PATIENCE),
];

// -- The handshake
await check("the subprotocol is accepted by name", async () => {
  const socket = await Socket.open();
  assert.equal(socket.ws.protocol, PROTOCOL);
  await socket.ends();
});
await check("the subprotocol is found among others", async () => {
  const socket = await Socket.open(["graphql-ws", PROTOCOL, "other"]);
  assert.equal(socket.ws.protocol, PROTOCOL);
  await socket.ends();
});
for (const [name, protocols] of [["no", []], ["another", ["other"]], ["the old", ["graphql-ws"]], ["a similar", [`${PROTOCOL}2`]]]) {
  await check(`${name} subprotocol: 4406`, async () => {
    const socket = await Socket.open(protocols);
    assert.equal(socket.ws.protocol, "");
    await socket.closes(4406, "Subprotocol not acceptable");
  });
}

// -- Pages of other sites: for sockets, browsers do not ask first
for (const [name, headers] of [
  ["Origin: https://evil.example", { origin: "https://evil.example" }],
  ["the Origin of another port", { origin: "http://127.0.0.1:1" }],
  ["Origin: null, as in a sandbox", { origin: "null" }],
  ["Sec-Fetch-Site: cross-site", { "sec-fetch-site": "cross-site" }],
  ["Sec-Fetch-Site: same-site", { "sec-fetch-site": "same-site" }],
]) {
  await check(`a socket with ${name}: 403, CSRF_PREVENTED`, async () => {
    const { status, body } = await Socket.refusal(headers);
    assert.equal(status, 403);
    assert.equal(body.errors[0].extensions.code, "CSRF_PREVENTED", JSON.stringify(body));
  });
}
for (const [name, headers] of [
  ["the service's own Origin", { origin: new URL(url).origin }],
  ["Sec-Fetch-Site: same-origin", { "sec-fetch-site": "same-origin" }],
  ["neither Origin nor Sec-Fetch-Site", {}],
]) {
  await check(`a socket with ${name} is opened`, async () => {
    const socket = await Socket.open([PROTOCOL], headers);
    socket.send(init);
    assert.equal((await socket.next()).type, "connection_ack");
    await socket.ends();
  });
}

// -- connection_init
const as = (authorization) => ({ type: "connection_init", payload: { authorization } });
for (const [name, message] of [
  ["no payload", init],
  ["null", { ...init, payload: null }],
  ["an empty object", { ...init, payload: {} }],
  ["something else in it", { ...init, payload: { a: { b: [1, null] } } }],
  ["a token that is null", as(null)],
  ["a token", as(`Bearer ${john.token}`)],
  ["a token under a capital letter", { ...init, payload: { Authorization: `Bearer ${john.token}` } }],
]) {
  await check(`connection_init with ${name}: connection_ack`, async () => {
    const socket = await Socket.open();
    socket.send(message);
    const { type, payload = {}, ...rest } = await socket.next();
    assert.equal(type, "connection_ack");
    assert(payload === null || (typeof payload === "object" && !Array.isArray(payload)));
    assert.deepEqual(rest, {});
    socket.subscribe("1", "{ viewer { user { username } } }");
    const viewer = JSON.stringify(message).includes(john.token) ? { user: { username: john.username } } : null;
    assert.deepEqual((await socket.all("1"))[0].payload, { data: { viewer } });
    await socket.ends();
  });
}
for (const [name, token] of [
  ["a wrong token", "Bearer wrong"],
  ["another scheme", `Basic ${john.token}`],
  ["an empty token", ""],
  ["a number for a token", 1],
]) {
  await check(`connection_init with ${name}: 4403`, async () => {
    const socket = await Socket.open();
    socket.send(as(token));
    await socket.closes(4403, "Forbidden");
    assert.deepEqual(socket.messages, []);
  });
}
await check("connection_init again: 4429", async () => {
  const socket = await Socket.of(john);
  socket.send(init);
  await socket.closes(4429, "Too many initialisation requests");
});
await check("connection_init twice at once: 4429", async () => {
  const socket = await Socket.open();
  socket.send(init, init);
  await socket.closes(4429, "Too many initialisation requests");
});
await check("connection_init again in the middle of an operation: 4429", async () => {
  const socket = await Socket.of(john);
  await listen(socket, john, "1");
  socket.send(init);
  await socket.closes(4429, "Too many initialisation requests");
});
await check("subscribe before connection_init: 4401", async () => {
  const socket = await Socket.open();
  socket.subscribe("1", "{ __typename }");
  await socket.closes(4401, "Unauthorized");
  assert.deepEqual(socket.messages, []);
});

// -- Messages of no type or format that the protocol has
const payload = { query: "{ __typename }" };
const subscribe = (more) => ({ id: "1", type: "subscribe", payload: { ...payload, ...more } });
const broken = [
  ["nothing", ""],
  ["no JSON", "{"],
  ["JSON and more", `${JSON.stringify({ type: "ping" })} {}`],
  ["a string", '"ping"'],
  ["a number", "1"],
  ["null", "null"],
  ["an empty list", "[]"],
  ["a batch of messages", JSON.stringify([{ type: "ping" }, { type: "ping" }])],
  ["no type", "{}"],
  ["a type that is null", { type: null }],
  ["a type that is a number", { type: 1 }],
  ["an unknown type", { type: "unknown" }],
  ["an unknown type, longer than a reason may be", { type: "🐦".repeat(1000) }],
  ["a type in capitals", { type: "PING" }],
  ["a type of the old protocol", { id: "1", type: "start", payload }],
  ["a type that only a server sends: connection_ack", { type: "connection_ack" }],
  ["a type that only a server sends: next", { id: "1", type: "next", payload: { data: {} } }],
  ["a type that only a server sends: error", { id: "1", type: "error", payload: [{ message: "" }] }],
  ["complete without an id", { type: "complete" }],
  ["complete with an id that is a number", { id: 1, type: "complete" }],
  ...["ping", "pong"].flatMap((type) => ["text", 1, true, [1]].map((payload) =>
    [`${type} with the payload ${JSON.stringify(payload)}`, { type, payload }])),
];
const brokenFirst = ["text", 1, true, [1]].map((payload) =>
  [`connection_init with the payload ${JSON.stringify(payload)}`, { type: "connection_init", payload }]);
const brokenLater = [
  ["subscribe without an id", { type: "subscribe", payload }],
  ["subscribe with an id that is null", { id: null, type: "subscribe", payload }],
  ["subscribe with an id that is a number", { id: 1, type: "subscribe", payload }],
  ["subscribe with an empty id", { id: "", type: "subscribe", payload }],
  ["subscribe without a payload", { id: "1", type: "subscribe" }],
  ["subscribe with a payload that is null", { id: "1", type: "subscribe", payload: null }],
  ["subscribe with a payload that is a list", { id: "1", type: "subscribe", payload: [] }],
  ["subscribe with a payload that is a list of the right things", { id: "1", type: "subscribe", payload: [payload.query, null, null] }],
  ["subscribe without a query", { id: "1", type: "subscribe", payload: {} }],
  ...[null, 1, ["{ __typename }"], {}].map((query) => [`the query ${JSON.stringify(query)}`, subscribe({ query })]),
  ...[1, ["a"], {}].map((operationName) => [`the operationName ${JSON.stringify(operationName)}`, subscribe({ operationName })]),
  ...["a", 1, true, [1]].map((variables) => [`the variables ${JSON.stringify(variables)}`, subscribe({ variables })]),
  ...["a", 1, true, [1]].map((extensions) => [`the extensions ${JSON.stringify(extensions)}`, subscribe({ extensions })]),
];
for (const [when, open, cases] of [
  ["before connection_init", () => Socket.open(), [...broken, ...brokenFirst]],
  ["after connection_ack", () => Socket.of(john), [...broken, ...brokenLater]],
]) {
  for (const [name, message] of cases) {
    await check(`${name}, ${when}: 4400`, async () => {
      const socket = await open();
      socket.send(message);
      // Who takes it answers the ping that is sent after it.
      const taken = await socket.untilNow().catch(() => null);
      if (taken) throw new Error(`it was taken, and answered with ${JSON.stringify(taken)}`);
      await socket.closes(4400);
    });
  }
  await check(`a binary message, ${when}: 4400`, async () => {
    const socket = await open();
    socket.ws.send(Buffer.from(JSON.stringify({ type: "ping" })), { binary: true });
    await socket.closes(4400);
  });
}
await check("4400 closes at once, whatever runs", async () => {
  const socket = await Socket.of(john);
  await listen(socket, john, "1");
  socket.subscribe("2", LOGIN, login);
  socket.send("{");
  await socket.closes(4400);
  assert.deepEqual(socket.messages, []);
});

// -- ping and pong
for (const [when, open] of [["before connection_init", () => Socket.open()], ["after connection_ack", () => Socket.of()]]) {
  await check(`ping is answered by pong, ${when}`, async () => {
    const socket = await open();
    socket.send({ type: "ping" });
    assert.deepEqual(await socket.next(), { type: "pong" });
    socket.send({ type: "ping", payload: null });
    const { payload, ...pong } = await socket.next();
    assert.deepEqual([pong, payload ?? null], [{ type: "pong" }, null]);
    socket.send({ type: "ping", payload: {} });
    assert.deepEqual((await socket.next()).type, "pong");
    const deep = { n: 1, text: "ü\n\"🐦", list: [null, { a: false }] };
    socket.send({ type: "ping", payload: deep });
    assert.deepEqual(await socket.next(), { type: "pong", payload: deep });
    await socket.ends();
  });
  await check(`pong is accepted unasked, ${when}`, async () => {
    const socket = await open();
    socket.send({ type: "pong" }, { type: "pong", payload: null }, { type: "pong", payload: { n: 1 } });
    assert.deepEqual(await socket.untilNow(), []);
    await socket.ends();
  });
}
await withSocket(null, "a WebSocket's own ping is answered by its own pong", async (socket) => {
  const pong = new Promise((resolve) => socket.ws.on("pong", (data) => resolve(String(data))));
  socket.ws.ping("hello");
  assert.equal(await pong, "hello");
});
await withSocket(null, "a message in several frames is one message", async (socket) => {
  const text = JSON.stringify({ type: "ping", payload: { n: 1 } });
  socket.ws.send(text.slice(0, 9), { fin: false });
  socket.ws.ping();
  socket.ws.send(text.slice(9), { fin: true });
  assert.deepEqual(await socket.next(), { type: "pong", payload: { n: 1 } });
});

// -- The end
await check("a client that closes with 1000 is answered with 1000", async () => {
  const socket = await Socket.of(john);
  await listen(socket, john, "1");
  socket.ws.close(1000);
  assert.equal((await socket.closed).code, 1000);
});
await check("clients that vanish leave no subscription behind", async () => {
  for (let n = 0; n < 64; n++) {
    const socket = await Socket.of(john);
    socket.subscribe("1", TIMELINE);
    socket.ws.terminate();
    // As many as a user may have, at the same time.
    if (n % 16 === 15) await sleep(250);
  }
  await (await Socket.of(john)).ends();
});

await Promise.all(slow);
// A socket that should have been closed would keep us here.
process.exit();
