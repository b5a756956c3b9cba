// The protocol graphql-transport-ws, by the reference client graphql-ws.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql node --test graphql-ws.mjs
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import {
  createPost,
  follow,
  LIMIT,
  LOGIN,
  PASSWORD,
  register,
  streamCursor,
  TIMELINE,
  url,
} from "./client.mjs";

const [john, susan] = await Promise.all([register(), register()]);
await follow(john, susan);
const login = { input: { username: john.username, password: PASSWORD } };

// A socket that a failed test leaves open would keep the process alive.
const sockets = new Set();
after(() => {
  for (const socket of sockets) socket.terminate();
});

class TrackedWebSocket extends WebSocket {
  constructor(...args) {
    super(...args);
    sockets.add(this);
    this.once("close", () => sockets.delete(this));
  }
}

const newClient = (options) =>
  createClient({
    url: url.replace(/^http/, "ws"),
    webSocketImpl: TrackedWebSocket,
    connectionParams: { authorization: `Bearer ${john.token}` },
    retryAttempts: 0,
    ...options,
  });

// The only result of a query or a mutation.
async function execute(client, request) {
  const results = [];
  for await (const result of client.iterate(request)) results.push(result);
  assert.equal(results.length, 1);
  return results[0];
}

// What the operation throws, or null.
const rejection = (client, request) =>
  execute(client, request).then(
    () => null,
    (error) => error,
  );

const USERNAME = "{ viewer { user { username } } }";

describe("connection", () => {
  test("a query and a mutation get their results", LIMIT, async () => {
    const client = newClient();
    assert.deepEqual(await execute(client, { query: USERNAME }), {
      data: { viewer: { user: { username: john.username } } },
    });
    const { data } = await execute(client, { query: LOGIN, variables: login });
    assert.deepEqual(data, { login: { userErrors: [] } });
    await client.dispose();
  });

  test("connectionParams may come from a function", LIMIT, async () => {
    const connectionParams = async () => ({ authorization: `Bearer ${susan.token}` });
    const client = newClient({ connectionParams });
    const { data } = await execute(client, { query: USERNAME });
    assert.equal(data.viewer.user.username, susan.username);
    await client.dispose();
  });

  test("a client without connectionParams is anonymous", LIMIT, async () => {
    const client = newClient({ connectionParams: undefined });
    assert.deepEqual(await execute(client, { query: "{ viewer { email } }" }), {
      data: { viewer: null },
    });
    await client.dispose();
  });

  test("a client with an invalid token is closed with 4403", LIMIT, async () => {
    const client = newClient({ connectionParams: { authorization: "Bearer wrong" } });
    const event = await rejection(client, { query: "{ __typename }" });
    assert.deepEqual([event?.code, event?.reason], [4403, "Forbidden"]);
    await client.dispose();
  });
});

// The client keeps the rules of the protocol, so these tests change its messages before they are
// sent.
describe("violations of the protocol", () => {
  const altering = (change) =>
    class extends TrackedWebSocket {
      send(text, ...rest) {
        for (const message of change(JSON.parse(text).type, text)) super.send(message, ...rest);
      }
    };
  const early = JSON.stringify({
    id: "1",
    type: "subscribe",
    payload: { query: "{ __typename }" },
  });
  for (const [code, name, change] of [
    [4400, "a message without a type", (type, text) => (type === "subscribe" ? ["{}"] : [text])],
    [
      4401,
      "subscribe before connection_init",
      (type, text) => (type === "connection_init" ? [early] : [text]),
    ],
    [4408, "a missing connection_init", () => []],
    [4409, "an id in use", (type, text) => (type === "subscribe" ? [text, text] : [text])],
    [
      4429,
      "a second connection_init",
      (type, text) => (type === "connection_init" ? [text, text] : [text]),
    ],
  ]) {
    test(`the client reports ${name} as ${code}`, LIMIT, async () => {
      const client = newClient({ webSocketImpl: altering(change) });
      const event = await rejection(client, { query: TIMELINE });
      assert.equal(event?.code, code, `${event?.code} ${event?.reason}`);
      await client.dispose();
    });
  }
});

describe("operations", () => {
  test(
    "an invalid document throws a list of errors, and the socket stays usable",
    LIMIT,
    async () => {
      const client = newClient();
      const errors = await rejection(client, { query: "{ nope }" });
      assert.equal(errors?.[0]?.extensions.code, "GRAPHQL_VALIDATION_FAILED");
      assert.deepEqual(await execute(client, { query: "{ __typename }" }), {
        data: { __typename: "Query" },
      });
      await client.dispose();
    },
  );

  test(
    "a subscription that the client ends leaves another on the same socket running",
    LIMIT,
    async () => {
      const received = [];
      let opened = 0;
      const client = newClient({
        on: { opened: () => opened++, message: (message) => received.push(message) },
      });
      const request = { query: TIMELINE, variables: { after: await streamCursor(john) } };
      const [ended, kept] = [client.iterate(request), client.iterate(request)];
      const id = await createPost(susan, "for two");
      for (const { value } of [await ended.next(), await kept.next()]) {
        assert.equal(value.data.timelineEvents.edge.node.id, id);
      }
      await ended.return();
      received.length = 0;
      const next = await createPost(susan, "for one");
      assert.equal((await kept.next()).value.data.timelineEvents.edge.node.id, next);
      await sleep(100);
      assert.equal(received.filter(({ type }) => type === "next").length, 1);
      await kept.return();
      await client.dispose();
      assert.equal(opened, 1);
    },
  );

  test("50 operations at once use one socket", LIMIT, async () => {
    let opened = 0;
    const client = newClient({ on: { opened: () => opened++ } });
    const aliases = Array.from({ length: 50 }, (_, n) => `n${n}`);
    const results = await Promise.all(
      aliases.map((alias) => execute(client, { query: `{ ${alias}: __typename }` })),
    );
    assert.deepEqual(
      results,
      aliases.map((alias) => ({ data: { [alias]: "Query" } })),
    );
    await client.dispose();
    assert.equal(opened, 1);
  });

  test("the client's keep-alive pings are answered", LIMIT, async ({ signal }) => {
    const pongs = [];
    const pong = (received) => pongs.push(received);
    const client = newClient({ lazy: false, keepAlive: 50, on: { pong } });
    while (pongs.length < 3) await sleep(20, null, { signal });
    assert(pongs.every((received) => received));
    await client.dispose();
  });

  test("dispose closes the socket with 1000", LIMIT, async () => {
    let closed;
    const closing = new Promise((resolve) => (closed = resolve));
    const client = newClient({ lazy: false, on: { closed } });
    await execute(client, { query: "{ __typename }" });
    await client.dispose();
    const { code, wasClean } = await closing;
    assert.deepEqual([code, wasClean], [1000, true]);
  });
});
