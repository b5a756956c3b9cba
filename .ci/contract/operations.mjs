// The protocol graphql-transport-ws, rule by rule, by messages as they are: operations, and what ends them.
//
//     node operations.mjs http://127.0.0.1:8000/graphql
//
// The rules: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { ask, COUNTS, FOLLOW, PASSWORD, register, TIMELINE, write } from "./ask.mjs";
import { address, check } from "./checks.mjs";
import { listen, LOGIN, post, Socket, typename, withSocket } from "./socket.mjs";

const url = address();
const [john, susan] = await Promise.all([register(url), register(url)]);
await ask(url, john.token, FOLLOW, { username: susan.username });
const login = { input: { username: john.username, password: PASSWORD } };

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
  const trips = [];
  for (let n = 0; n < 21; n++) {
    const begun = performance.now();
    socket.subscribe("1", "{ __typename }");
    await socket.all("1");
    trips.push(performance.now() - begun);
  }
  const trip = trips.sort((a, b) => a - b)[10];
  const seen = new Set();
  for (let n = 0; n < 150; n++) {
    socket.subscribe("1", "{ __typename }");
    // Every other time at once, otherwise later and later, up to when the server has surely answered.
    const until = performance.now() + 3 * trip * (n % 2) * (n / 150);
    while (performance.now() < until) await new Promise(setImmediate);
    socket.send({ id: "1", type: "complete" });
    const came = await socket.untilNow();
    assert.deepEqual(came, typename("1").slice(0, came.length));
    seen.add(came.length);
  }
  assert(seen.has(0) && seen.has(2), `it was always the same: ${[...seen]}`);
});

await withSocket(john, "complete of a subscription while an event comes: the event or not, and nothing after", async (socket) => {
  const seen = new Set();
  let trip = 0;
  for (let n = 0; n < 60; n++) {
    await listen(socket, john, "1");
    await socket.untilNow();
    const begun = performance.now();
    const writing = write(url, susan, "news");
    if (n < 10) {
      const id = await writing;
      assert.deepEqual(await socket.next(), post("1", id));
      trip = Math.max(trip, performance.now() - begun);
    } else {
      await sleep(2 * trip * ((n % 25) / 25));
    }
    socket.send({ id: "1", type: "complete" });
    const came = await socket.untilNow();
    const id = await writing;
    await sleep(trip);
    assert.deepEqual(await socket.untilNow(), []);
    if (n < 10) continue;
    assert.deepEqual(came, came.length ? [post("1", id)] : []);
    seen.add(came.length);
  }
  assert(seen.has(0) && seen.has(1), `it was always the same: ${[...seen]}`);
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
  for (const _ of [1, 2]) socket.subscribe("ü".repeat(500), TIMELINE);
  await socket.closes(4409);
});
await check("an id of more than 1,024 bytes: 4400", async () => {
  const socket = await Socket.of(john);
  socket.subscribe("ü".repeat(513), TIMELINE);
  await socket.closes(4400);
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

// A socket that should have been closed would keep us here.
process.exit();
