// The protocol graphql-transport-ws, rule by rule, first by messages as they are, then by the usual client.
//
//     node websocket.mjs http://127.0.0.1:8000/graphql
//
// The rules: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { ask, COUNTS, cursor, FOLLOW, PASSWORD, register, TIMELINE, write } from "./ask.mjs";
import { address, check } from "./checks.mjs";
import { PROTOCOL, Socket } from "./socket.mjs";

const url = address();
// Longer than a server may reasonably wait for the first message, and be silent.
const PATIENCE = 45_000;
const LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { userErrors { message } } }";

// A check with a socket of its own, acknowledged; the socket must be open at the end, with nothing unexpected in it.
const withSocket = (user, name, run) => check(name, async () => {
  const socket = await Socket.of(user);
  try {
    await run(socket);
    assert.deepEqual(await socket.untilNow(), [], "something came unasked");
  } finally {
    await socket.ends();
  }
});

const [john, susan] = await Promise.all([register(url), register(url)]);
await ask(url, john.token, FOLLOW, { username: susan.username });
const login = { input: { username: john.username, password: PASSWORD } };
const typename = (id) => [
  { id, type: "next", payload: { data: { __typename: "Query" } } },
  { id, type: "complete" },
];
const post = (id, node) => ({ id, type: "next", payload: { data: { timelineEvents: { edge: { node: { id: node } } } } } });
// Whatever happens from now on is heard.
const listen = async (socket, user, ...ids) => {
  const after = await cursor(url, user);
  for (const id of ids) socket.subscribe(id, TIMELINE, { after });
};

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

// -- connection_init
const init = { type: "connection_init" };
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

// -- Operations with one result
await withSocket(john, "a query: one next, then complete", async (socket) => {
  socket.subscribe("1", "{ __typename }");
  assert.deepEqual(await socket.all("1"), typename("1"));
});
await withSocket(john, "a mutation: one next, then complete", async (socket) => {
  socket.subscribe("1", 'mutation { createPost(input: {body: "Hello"}) { post { body } } }');
  const next = { id: "1", type: "next", payload: { data: { createPost: { post: { body: "Hello" } } } } };
  assert.deepEqual(await socket.all("1"), [next, { id: "1", type: "complete" }]);
});
await withSocket(john, "operationName and variables are heeded", async (socket) => {
  const query = "query A { __typename } query B($yes: Boolean!) { a: __typename viewer @include(if: $yes) { email } }";
  socket.subscribe("1", query, { yes: false }, { operationName: "B", extensions: { any: ["thing"] } });
  assert.deepEqual((await socket.all("1"))[0].payload, { data: { a: "Query" } });
});
await withSocket(john, "operationName, variables and extensions may be null", async (socket) => {
  socket.subscribe("1", "{ __typename }", null, { operationName: null, extensions: null });
  assert.deepEqual(await socket.all("1"), typename("1"));
});
await withSocket(john, "an error while executing comes in next, and then complete", async (socket) => {
  socket.subscribe("1", '{ __typename node(id: "?") { id } }');
  const [{ type, payload: { data, errors } }, complete] = await socket.all("1");
  assert.equal(type, "next");
  assert(data === null || data.node === null);
  assert.equal(errors[0].extensions.code, "INVALID_ID");
  assert.deepEqual(complete, { id: "1", type: "complete" });
});
for (const [name, query, variables, more, code] of [
  ["of bad syntax", "{", null, null, "GRAPHQL_PARSE_FAILED"],
  ["that is empty", "", null, null, "GRAPHQL_PARSE_FAILED"],
  ["with an unknown field", "{ nope }", null, null, "GRAPHQL_VALIDATION_FAILED"],
  ["for a subscription with an unknown field", "subscription { nope }", null, null, "GRAPHQL_VALIDATION_FAILED"],
  ["without a needed variable", "query ($id: ID!) { node(id: $id) { id } }", {}, null, "GRAPHQL_VALIDATION_FAILED"],
  ["with a wrong variable", COUNTS, { userId: [] }, null, "GRAPHQL_VALIDATION_FAILED"],
  ["without the named operation", "query A { __typename }", null, { operationName: "B" }, "GRAPHQL_VALIDATION_FAILED"],
]) {
  await withSocket(john, `a document ${name}: error, neither next nor complete, and the id is free`, async (socket) => {
    for (const _ of [1, 2]) {
      socket.subscribe("1", query, variables, more);
      const messages = await socket.all("1");
      assert.deepEqual(messages.map(({ type }) => type), ["error"]);
      const [{ payload, ...rest }] = messages;
      assert.deepEqual(rest, { id: "1", type: "error" });
      assert(payload.length > 0 && payload.every(({ message }) => typeof message === "string"));
      assert.equal(payload[0].extensions.code, code);
    }
  });
}
for (const [name, user, query] of [
  ["without a token", null, TIMELINE],
  ["with a wrong argument", john, 'subscription { followCounts(userId: "?") { id } }'],
]) {
  await withSocket(user, `a subscription ${name}: error, neither next nor complete, and the id is free`, async (socket) => {
    for (const _ of [1, 2]) {
      socket.subscribe("1", query);
      assert.deepEqual((await socket.all("1")).map(({ type }) => type), ["error"]);
    }
  });
}

// -- Operations with many results
await withSocket(john, "a subscription: a next for each event, and no complete", async (socket) => {
  await listen(socket, john, "1");
  for (const body of ["one", "two", "three"]) {
    const id = await write(url, susan, body);
    assert.deepEqual(await socket.next(), post("1", id));
  }
  socket.send({ id: "1", type: "complete" });
});
await withSocket(john, "a subscription that ends: complete, and the id is free", async (socket) => {
  const mary = await register(url);
  for (const _ of [1, 2]) {
    socket.subscribe("1", COUNTS, { userId: mary.id });
    assert.deepEqual(await socket.next(), { id: "1", type: "next", payload: { data: { followCounts: { followersCount: 0 } } } });
    socket.send({ id: "1", type: "complete" });
  }
  socket.subscribe("1", COUNTS, { userId: mary.id });
  assert.equal((await socket.next()).type, "next");
  await ask(url, mary.token, `mutation { deleteAccount(input: {password: "${PASSWORD}"}) { changed } }`);
  assert.deepEqual(await socket.all("1"), [{ id: "1", type: "complete" }]);
  socket.subscribe("1", "{ __typename }");
  assert.deepEqual(await socket.all("1"), typename("1"));
});
await check("a subscription that fails later: one last error, or a last next and complete", async () => {
  const mary = await register(url);
  await ask(url, mary.token, FOLLOW, { username: susan.username });
  const socket = await Socket.of(mary);
  await listen(socket, mary, "1");
  const id = await write(url, susan, "for her");
  assert.deepEqual(await socket.next(), post("1", id));
  await ask(url, mary.token, "mutation { logout { changed } }");
  await write(url, susan, "not for her");
  const came = await socket.all("1");
  const last = came.length === 1 && came[0].type === "error" ? came[0].payload : came[0].payload.errors;
  assert.equal(last[0].extensions.code, "UNAUTHENTICATED", JSON.stringify(came));
  assert(came[0].type === "error" || (came.length === 2 && came[1].type === "complete"), JSON.stringify(came));
  await write(url, susan, "neither");
  assert.deepEqual(await socket.untilNow(), []);
  await socket.ends();
});

// -- complete by the client
await withSocket(john, "complete by the client ends the subscription, and no other", async (socket) => {
  await listen(socket, john, "1", "2");
  const id = await write(url, susan, "for both");
  const both = [await socket.next(), await socket.next()].sort((a, b) => a.id - b.id);
  assert.deepEqual(both, [post("1", id), post("2", id)]);
  socket.send({ id: "1", type: "complete" });
  assert.deepEqual(await socket.untilNow(), [], "complete was answered");
  for (const body of ["for the other", "again"]) {
    const id = await write(url, susan, body);
    assert.deepEqual(await socket.next(), post("2", id));
  }
  await sleep(100);
  assert.deepEqual(await socket.untilNow(), [], "came after complete");
  socket.send({ id: "2", type: "complete" });
});
await withSocket(john, "complete by the client makes the id free, for whatever operation", async (socket) => {
  for (let n = 0; n < 20; n++) {
    socket.subscribe("1", TIMELINE);
    socket.send({ id: "1", type: "complete" });
  }
  socket.subscribe("1", "{ __typename }");
  assert.deepEqual(await socket.all("1"), typename("1"));
});
await withSocket(john, "complete by the client before the only result: it is not sent", async (socket) => {
  const begun = Date.now();
  socket.subscribe("1", LOGIN, login);
  assert.deepEqual((await socket.all("1"))[0].payload, { data: { login: { userErrors: [] } } });
  const took = Date.now() - begun;
  socket.subscribe("2", LOGIN, login);
  socket.send({ id: "2", type: "complete" });
  await sleep(3 * took + 100);
  assert.deepEqual(await socket.untilNow(), []);
});
await withSocket(john, "complete of an unknown id is ignored", async (socket) => {
  socket.send({ id: "nobody", type: "complete" });
  socket.subscribe("1", "{ __typename }");
  assert.deepEqual(await socket.all("1"), typename("1"));
});
await withSocket(john, "complete after the server's complete is ignored", async (socket) => {
  socket.subscribe("1", "{ __typename }");
  await socket.all("1");
  socket.send({ id: "1", type: "complete" }, { id: "1", type: "complete" });
});
await withSocket(john, "complete after the server's error is ignored", async (socket) => {
  socket.subscribe("1", "{ nope }");
  await socket.all("1");
  socket.send({ id: "1", type: "complete" }, { id: "1", type: "complete" });
});
await withSocket(john, "complete by both at the same time: nothing half said, and nothing after", async (socket) => {
  const seen = new Set();
  for (let n = 0; n < 150; n++) {
    socket.subscribe("1", "{ __typename }");
    // Every other time at once, otherwise up to when the server must have answered.
    const until = performance.now() + (n % 2) * (n % 30) / 5;
    while (performance.now() < until) await new Promise(setImmediate);
    socket.send({ id: "1", type: "complete" });
    const came = await socket.untilNow();
    assert.deepEqual(came, typename("1").slice(0, came.length));
    seen.add(came.length);
  }
  assert(seen.has(0) && seen.has(2), `it was always the same: ${[...seen]}`);
});

// -- Ids, and many operations
for (const [name, first, second] of [
  ["a subscription while a subscription has its id", [TIMELINE], [TIMELINE]],
  ["a query while a subscription has its id", [TIMELINE], ["{ __typename }"]],
  ["a subscription while a mutation has its id", [LOGIN, login], [TIMELINE]],
  ["a document that is wrong while a subscription has its id", [TIMELINE], ["{"]],
]) {
  await check(`${name}: 4409`, async () => {
    const socket = await Socket.of(john);
    socket.subscribe("the one", ...first);
    socket.subscribe("the one", ...second);
    await socket.closes(4409, "Subscriber for the one already exists");
    assert.deepEqual(socket.messages, []);
  });
}
await check("an id that is longer than a reason may be, twice: 4409", async () => {
  const socket = await Socket.of(john);
  for (const _ of [1, 2]) socket.subscribe("ü".repeat(1000), TIMELINE);
  await socket.closes(4409);
});
await withSocket(john, "an id is free again after complete", async (socket) => {
  for (let n = 0; n < 20; n++) {
    socket.subscribe("1", "{ __typename }");
    assert.deepEqual(await socket.all("1"), typename("1"));
  }
});
await check("each socket has ids of its own", async () => {
  const sockets = await Promise.all([Socket.of(john), Socket.of(john)]);
  await Promise.all(sockets.map((socket) => listen(socket, john, "1")));
  const id = await write(url, susan, "for all sockets");
  for (const socket of sockets) assert.deepEqual(await socket.next(), post("1", id));
  await Promise.all(sockets.map((socket) => socket.ends()));
});
await withSocket(john, "ids may be any text, and come back as they went", async (socket) => {
  for (const id of [" ", "\"\\\n\u0000\u2028", "🐦 ü", "__proto__", "x".repeat(1000)]) {
    socket.subscribe(id, "{ __typename }");
    assert.deepEqual(await socket.all(id), typename(id));
  }
});
await withSocket(john, "many operations at once, each with its own messages", async (socket) => {
  const live = Array.from({ length: 40 }, (_, n) => `live ${n}`);
  const single = Array.from({ length: 40 }, (_, n) => `single ${n}`);
  await listen(socket, john, ...live);
  const came = new Map([...live, ...single].map((id) => [id, []]));
  const writing = write(url, susan, "for all operations");
  for (const id of single) socket.subscribe(id, `query { __typename } # ${id}`);
  for (let n = 0; n < live.length + 2 * single.length; n++) {
    const message = await socket.next();
    came.get(message.id).push(message);
  }
  const written = await writing;
  for (const id of live) assert.deepEqual(came.get(id), [post(id, written)]);
  for (const id of single) assert.deepEqual(came.get(id), typename(id));
  for (const id of live) socket.send({ id, type: "complete" });
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

// -- The client that everybody uses
const client = (more) => createClient({
  url: url.replace(/^http/, "ws"),
  webSocketImpl: WebSocket,
  connectionParams: { authorization: `Bearer ${john.token}` },
  retryAttempts: 0,
  ...more,
});
const once = async (client, request) => {
  const results = [];
  for await (const result of client.iterate(request)) results.push(result);
  assert.equal(results.length, 1);
  return results[0];
};

await check("graphql-ws: a query and a mutation", async () => {
  const one = client();
  const query = "{ viewer { user { username } } }";
  assert.deepEqual(await once(one, { query }), { data: { viewer: { user: { username: john.username } } } });
  const { data } = await once(one, { query: LOGIN, variables: login });
  assert.deepEqual(data, { login: { userErrors: [] } });
  await one.dispose();
});
await check("graphql-ws: connectionParams from a function", async () => {
  const one = client({ connectionParams: async () => ({ authorization: `Bearer ${susan.token}` }) });
  const { data } = await once(one, { query: "{ viewer { user { username } } }" });
  assert.equal(data.viewer.user.username, susan.username);
  await one.dispose();
});
await check("graphql-ws: without connectionParams", async () => {
  const one = client({ connectionParams: undefined });
  assert.deepEqual(await once(one, { query: "{ viewer { email } }" }), { data: { viewer: null } });
  await one.dispose();
});
await check("graphql-ws: a wrong token is a 4403", async () => {
  const one = client({ connectionParams: { authorization: "Bearer wrong" } });
  const refused = await once(one, { query: "{ __typename }" }).then(() => null, (event) => event);
  assert.deepEqual([refused?.code, refused?.reason], [4403, "Forbidden"]);
  await one.dispose();
});
await check("graphql-ws: an invalid document is a list of errors", async () => {
  const one = client();
  const errors = await once(one, { query: "{ nope }" }).then(() => null, (errors) => errors);
  assert.equal(errors?.[0]?.extensions.code, "GRAPHQL_VALIDATION_FAILED");
  assert.deepEqual(await once(one, { query: "{ __typename }" }), { data: { __typename: "Query" } });
  await one.dispose();
});
await check("graphql-ws: a subscription that is left, while another one goes on over the same socket", async () => {
  const heard = [];
  let opened = 0;
  const one = client({ on: { opened: () => opened++, message: (message) => heard.push(message) } });
  const request = { query: TIMELINE, variables: { after: await cursor(url, john) } };
  const [left, kept] = [one.iterate(request), one.iterate(request)];
  const id = await write(url, susan, "for two");
  for (const { value } of [await left.next(), await kept.next()]) assert.equal(value.data.timelineEvents.edge.node.id, id);
  await left.return();
  heard.length = 0;
  const next = await write(url, susan, "for one");
  assert.equal((await kept.next()).value.data.timelineEvents.edge.node.id, next);
  await sleep(100);
  assert.equal(heard.filter(({ type }) => type === "next").length, 1);
  await kept.return();
  await one.dispose();
  assert.equal(opened, 1);
});
await check("graphql-ws: many operations at once over one socket", async () => {
  let opened = 0;
  const one = client({ on: { opened: () => opened++ } });
  const names = Array.from({ length: 50 }, (_, n) => `n${n}`);
  const results = await Promise.all(names.map((name) => once(one, { query: `{ ${name}: __typename }` })));
  assert.deepEqual(results, names.map((name) => ({ data: { [name]: "Query" } })));
  await one.dispose();
  assert.equal(opened, 1);
});
await check("graphql-ws: its keep-alive pings are answered", async () => {
  const pongs = [];
  const one = client({ lazy: false, keepAlive: 50, on: { pong: (received) => pongs.push(received) } });
  while (pongs.length < 3) await sleep(20);
  assert(pongs.every((received) => received));
  await one.dispose();
});
await check("graphql-ws: dispose closes with 1000", async () => {
  let closed;
  const closing = new Promise((resolve) => (closed = resolve));
  const one = client({ lazy: false, on: { closed } });
  await once(one, { query: "{ __typename }" });
  await one.dispose();
  const { code, wasClean } = await closing;
  assert.deepEqual([code, wasClean], [1000, true]);
});

await Promise.all(slow);
// A socket that should have been closed would keep us here.
process.exit();
