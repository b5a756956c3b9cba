// The protocol graphql-transport-ws, by the client that everybody uses.
//
//     node graphql-ws.mjs http://127.0.0.1:8000/graphql
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { ask, cursor, FOLLOW, PASSWORD, register, TIMELINE, write } from "./ask.mjs";
import { address, check } from "./checks.mjs";
import { LOGIN } from "./socket.mjs";

const url = address();
const [john, susan] = await Promise.all([register(url), register(url)]);
await ask(url, john.token, FOLLOW, { username: susan.username });
const login = { input: { username: john.username, password: PASSWORD } };

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

await check("a query and a mutation", async () => {
  const one = client();
  const query = "{ viewer { user { username } } }";
  assert.deepEqual(await once(one, { query }), { data: { viewer: { user: { username: john.username } } } });
  const { data } = await once(one, { query: LOGIN, variables: login });
  assert.deepEqual(data, { login: { userErrors: [] } });
  await one.dispose();
});
await check("connectionParams from a function", async () => {
  const one = client({ connectionParams: async () => ({ authorization: `Bearer ${susan.token}` }) });
  const { data } = await once(one, { query: "{ viewer { user { username } } }" });
  assert.equal(data.viewer.user.username, susan.username);
  await one.dispose();
});
await check("without connectionParams", async () => {
  const one = client({ connectionParams: undefined });
  assert.deepEqual(await once(one, { query: "{ viewer { email } }" }), { data: { viewer: null } });
  await one.dispose();
});
await check("a wrong token is a 4403", async () => {
  const one = client({ connectionParams: { authorization: "Bearer wrong" } });
  const refused = await once(one, { query: "{ __typename }" }).then(() => null, (event) => event);
  assert.deepEqual([refused?.code, refused?.reason], [4403, "Forbidden"]);
  await one.dispose();
});
// The client keeps to the rules, so what it sends is changed on its way.
const altered = (change) => class extends WebSocket {
  send(text, ...rest) {
    for (const one of change(JSON.parse(text).type, text)) super.send(one, ...rest);
  }
};
const early = JSON.stringify({ id: "1", type: "subscribe", payload: { query: "{ __typename }" } });
for (const [code, what, change] of [
  [4400, "a message that is none", (type, text) => (type === "subscribe" ? ["{}"] : [text])],
  [4401, "an operation before connection_init", (type, text) => (type === "connection_init" ? [early] : [text])],
  [4408, "no connection_init", () => []],
  [4409, "an id that is taken", (type, text) => (type === "subscribe" ? [text, text] : [text])],
  [4429, "connection_init twice", (type, text) => (type === "connection_init" ? [text, text] : [text])],
]) {
  await check(`${what} is a ${code}`, async () => {
    const one = client({ webSocketImpl: altered(change) });
    const refused = await once(one, { query: TIMELINE }).then(() => null, (event) => event);
    assert.equal(refused?.code, code, `${refused?.code} ${refused?.reason}`);
    await one.dispose();
  });
}
await check("an invalid document is a list of errors", async () => {
  const one = client();
  const errors = await once(one, { query: "{ nope }" }).then(() => null, (errors) => errors);
  assert.equal(errors?.[0]?.extensions.code, "GRAPHQL_VALIDATION_FAILED");
  assert.deepEqual(await once(one, { query: "{ __typename }" }), { data: { __typename: "Query" } });
  await one.dispose();
});
await check("a subscription that is left, while another one goes on over the same socket", async () => {
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
await check("many operations at once over one socket", async () => {
  let opened = 0;
  const one = client({ on: { opened: () => opened++ } });
  const names = Array.from({ length: 50 }, (_, n) => `n${n}`);
  const results = await Promise.all(names.map((name) => once(one, { query: `{ ${name}: __typename }` })));
  assert.deepEqual(results, names.map((name) => ({ data: { [name]: "Query" } })));
  await one.dispose();
  assert.equal(opened, 1);
});
await check("its keep-alive pings are answered", async () => {
  const pongs = [];
  const one = client({ lazy: false, keepAlive: 50, on: { pong: (received) => pongs.push(received) } });
  while (pongs.length < 3) await sleep(20);
  assert(pongs.every((received) => received));
  await one.dispose();
});
await check("dispose closes with 1000", async () => {
  let closed;
  const closing = new Promise((resolve) => (closed = resolve));
  const one = client({ lazy: false, on: { closed } });
  await once(one, { query: "{ __typename }" });
  await one.dispose();
  const { code, wasClean } = await closing;
  assert.deepEqual([code, wasClean], [1000, true]);
});

// A socket that should have been closed would keep us here.
process.exit();
