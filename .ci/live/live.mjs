// The live timeline through the usual clients: graphql-ws over a WebSocket, graphql-sse over
// server-sent events.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql node --test live.mjs
//
// With ROOKERY_SECOND_URL, the address of another instance on the same database, posts are written
// through the second instance, and the subscriber alternates between the two whenever its
// connection is lost.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, describe, test } from "node:test";
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import WebSocket from "ws";

const first = process.env.ROOKERY_URL;
assert(first, "set ROOKERY_URL to the address of /graphql");
const second = process.env.ROOKERY_SECOND_URL ?? first;

const LIMIT = { timeout: 120_000 };
const POSTS = 60;
const TIMELINE = `subscription ($after: String) { timelineEvents(after: $after) {
  __typename
  ... on StreamEvent { cursor }
  ... on TimelinePostAdded { edge { node { id body author { username } } } } } }`;

async function execute(url, token, query, variables) {
  const authorization = token && { authorization: `Bearer ${token}` };
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

async function register() {
  const username = `live_${randomBytes(6).toString("hex")}`;
  const input = { username, email: `${username}@example.com`, password: "correct horse battery" };
  const mutation = `mutation ($input: RegisterInput!) {
    register(input: $input) { token userErrors { message } } }`;
  const { token } = (await execute(first, null, mutation, { input })).register;
  return { username, token };
}

async function follow({ token }, { username }) {
  const mutation =
    "mutation ($username: String!) { follow(user: {username: $username}) { changed } }";
  await execute(first, token, mutation, { username });
}

async function streamCursor({ token }) {
  const query = "{ viewer { user { timeline { streamCursor } } } }";
  return (await execute(first, token, query)).viewer.user.timeline.streamCursor;
}

// Writes the posts one after the other, and returns their ids.
async function createPosts({ token }) {
  const mutation = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }";
  const ids = [];
  for (let n = 0; n < POSTS; n++) {
    ids.push((await execute(second, token, mutation, { body: `${n}` })).createPost.post.id);
  }
  return ids;
}

// A client, and a function that drops its connection without a closing handshake.
function connectWs(url, token) {
  let socket;
  const client = createWsClient({
    url: url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
    on: { connected: (connected) => (socket = connected) },
  });
  return { client, drop: () => socket.terminate() };
}
function connectSse(url, token) {
  const client = createSseClient({
    url,
    headers: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
  });
  return { client, drop: () => client.dispose() };
}

// A connection that a failed test leaves open would keep the process alive.
const clients = [];
after(() => {
  for (const client of clients) client.dispose();
});

// Receives events until there are `enough`, and drops the connection. More events than that may
// arrive.
async function receive({ client, drop }, after, enough) {
  clients.push(client);
  const events = [];
  try {
    for await (const { data, errors } of client.iterate({
      query: TIMELINE,
      variables: { after },
    })) {
      assert.equal(errors, undefined, JSON.stringify(errors));
      events.push(data.timelineEvents);
      if (events.length < enough) continue;
      drop();
      break;
    }
  } catch (error) {
    if (events.length < enough) throw error;
  }
  client.dispose();
  return events;
}

for (const [name, connect] of [
  ["graphql-ws", connectWs],
  ["graphql-sse", connectSse],
]) {
  describe(name, () => {
    test(
      `${POSTS} posts arrive in order and once, while the connection is dropped again and again`,
      LIMIT,
      async () => {
        const [john, susan] = [await register(), await register()];
        await follow(john, susan);
        let after = await streamCursor(john);

        const creation = createPosts(susan);
        const events = [];
        for (let round = 0; events.length < POSTS; round++) {
          const enough = Math.min(1 + 3 * round, POSTS - events.length);
          const connection = connect(round % 2 ? second : first, john.token);
          const received = (await receive(connection, after, enough)).slice(0, enough);
          events.push(...received);
          after = received.at(-1).cursor;
        }
        assert.deepEqual(
          events.map(({ edge }) => edge.node.id),
          await creation,
        );
        assert.equal(events[0].edge.node.author.username, susan.username);
      },
    );

    test("a client with an invalid token is rejected", LIMIT, async () => {
      await assert.rejects(receive(connect(first, "wrong"), null, Infinity));
    });
  });
}

test("graphql-ws runs a query over the WebSocket", LIMIT, async () => {
  const { client } = connectWs(first, (await register()).token);
  const result = await new Promise((resolve, reject) => {
    let last;
    client.subscribe(
      { query: "{ viewer { user { followersCount } } }" },
      {
        next: (next) => (last = next),
        error: reject,
        complete: () => resolve(last),
      },
    );
  });
  assert.equal(result.data.viewer.user.followersCount, 0);
  await client.dispose();
});
