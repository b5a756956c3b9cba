// The live timeline as the usual clients see it: graphql-ws over a WebSocket, graphql-sse over server-sent events.
//
//     node live.mjs http://127.0.0.1:8000/graphql [http://127.0.0.1:8001/graphql]
//
// With two addresses, posts are written at the second and heard at the first, and whoever is cut off goes on at the
// other one.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createClient as createSse } from "graphql-sse";
import { createClient as createWs } from "graphql-ws";
import WebSocket from "ws";

const [a, b = a] = process.argv.slice(2);
const POSTS = 60;
const TIMELINE = `subscription ($after: String) { timelineEvents(after: $after) {
  __typename
  ... on StreamEvent { cursor }
  ... on TimelinePostAdded { edge { node { id body author { username } } } } } }`;

async function ask(url, token, query, variables) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

async function register() {
  const username = `live_${randomBytes(6).toString("hex")}`;
  const input = { username, email: `${username}@example.com`, password: "correct horse battery" };
  const register = "mutation ($input: RegisterInput!) { register(input: $input) { token userErrors { message } } }";
  const { token } = (await ask(a, null, register, { input })).register;
  return { username, token };
}

const overWs = (url, token) => {
  let socket;
  const client = createWs({
    url: url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
    on: { connected: (connected) => (socket = connected) },
  });
  // As if a cable had been pulled.
  return { client, cut: () => socket.terminate() };
};
const overSse = (url, token) => {
  const client = createSse({ url, headers: { authorization: `Bearer ${token}` }, retryAttempts: 0 });
  return { client, cut: () => client.dispose() };
};

// Hears until `enough` says so, or the connection is cut; the events that were heard.
async function hear({ client, cut }, after, enough) {
  const heard = [];
  try {
    for await (const { data, errors } of client.iterate({ query: TIMELINE, variables: { after } })) {
      assert.equal(errors, undefined, JSON.stringify(errors));
      heard.push(data.timelineEvents);
      if (enough(heard)) cut();
      if (enough(heard)) break;
    }
  } catch (error) {
    if (!enough(heard)) throw error;
  }
  client.dispose();
  return heard;
}

for (const [name, connect] of [["graphql-ws", overWs], ["graphql-sse", overSse]]) {
  const [john, susan] = [await register(), await register()];
  const follow = "mutation ($username: String!) { follow(user: {username: $username}) { changed } }";
  await ask(a, john.token, follow, { username: susan.username });
  const page = "{ viewer { user { timeline { streamCursor } } } }";
  let after = (await ask(a, john.token, page)).viewer.user.timeline.streamCursor;

  const create = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }";
  const writing = (async () => {
    const ids = [];
    for (let n = 0; n < POSTS; n++) ids.push((await ask(b, susan.token, create, { body: `${n}` })).createPost.post.id);
    return ids;
  })();
  const heard = [];
  for (let round = 0; heard.length < POSTS; round++) {
    const some = Math.min(1 + 3 * round, POSTS - heard.length);
    const events = await hear(connect(round % 2 ? b : a, john.token), after, (heard) => heard.length >= some);
    // Beyond what was enough, something may have come before the end.
    const taken = events.slice(0, some);
    heard.push(...taken);
    after = taken.at(-1).cursor;
  }
  const ids = heard.map((event) => event.edge.node.id);
  assert.deepEqual(ids, await writing);
  assert.equal(heard[0].edge.node.author.username, susan.username);
  console.log(`ok: ${name} heard ${POSTS} posts, each once, in ${heard.length} events`);

  // Who has no token, or a wrong one, is told so.
  await assert.rejects(hear(connect(a, "wrong"), null, () => false));
  console.log(`ok: ${name} is refused with a wrong token`);
}

// The client library's own view of a query over the socket.
const { client } = overWs(a, (await register()).token);
const result = await new Promise((resolve, reject) => {
  let last;
  client.subscribe({ query: "{ viewer { user { followersCount } } }" }, {
    next: (next) => (last = next), error: reject, complete: () => resolve(last) });
});
assert.equal(result.data.viewer.user.followersCount, 0);
await client.dispose();
console.log("ok: a query over the socket");
