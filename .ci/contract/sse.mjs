// Server-sent events by the protocol graphql-sse in its mode of distinct connections: first the bytes, read as the
// HTML standard has it, then the usual client.
//
//     node sse.mjs http://127.0.0.1:8000/graphql
//
// The rules: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "graphql-sse";
import { ask, COUNTS, cursor, FOLLOW, PASSWORD, register, TIMELINE, write } from "./ask.mjs";
import { address, check } from "./checks.mjs";

const url = address();
const PATIENCE = 30_000;
const CREATE = "mutation ($body: String!) { createPost(input: {body: $body}) { post { body } } }";

// What an EventSource in a browser would hear: an event without data is none.
class Stream {
  comments = 0;

  constructor(response, abort) {
    this.response = response;
    this.abort = abort;
    this.events = this.#read();
  }

  async *#read() {
    let text = "";
    for await (const chunk of this.response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
        const fields = text.slice(0, end).split("\n").map((line) => /^([^:]*)(?:: ?(.*))?$/.exec(line).slice(1));
        const data = fields.filter(([name]) => name === "data").map(([, value = ""]) => value);
        const event = fields.findLast(([name]) => name === "event")?.[1] ?? "message";
        this.comments += fields.filter(([name]) => name === "").length;
        if (data.length) yield event === "next" ? { event, data: JSON.parse(data.join("\n")) } : { event, data: data.join("\n") };
      }
    }
    assert.equal(text, "", "the stream ends in the middle of an event");
  }

  async next() {
    return (await this.events.next()).value;
  }

  // To the end of the stream.
  async all() {
    const events = [];
    for await (const event of this.events) events.push(event);
    return events;
  }
}

const request = ({ user, accept = "text/event-stream", signal, ...parameters }) => fetch(url, {
  method: "POST",
  headers: { accept, "content-type": "application/json", ...(user && { authorization: `Bearer ${user.token}` }) },
  body: JSON.stringify(parameters),
  signal,
});
const isStream = (response) => {
  const type = response.headers.get("content-type");
  assert.match(type, /^text\/event-stream(; *charset=utf-8)?$/i, `${response.status}, ${type}`);
  assert.equal(response.status, 200);
};
const open = async (parameters) => {
  const abort = new AbortController();
  const response = await request({ ...parameters, signal: abort.signal });
  isStream(response);
  return new Stream(response, () => abort.abort());
};
// As an EventSource does, in a page of the same site.
const get = (parameters) => fetch(`${url}?${new URLSearchParams(parameters)}`, {
  headers: { accept: "text/event-stream", "sec-fetch-site": "same-origin" },
});
const listen = async (user) => open({ user, query: TIMELINE, variables: { after: await cursor(url, user) } });
const next = (data) => ({ event: "next", data: { data } });
const complete = { event: "complete", data: "" };
const post = (id) => next({ timelineEvents: { edge: { node: { id } } } });
const refusal = async (response, status) => {
  assert.equal(response.status, status);
  assert.match(response.headers.get("content-type"), /^application\/json/);
  const { data, errors } = await response.json();
  assert.equal(data, undefined);
  assert(errors.length > 0 && errors.every(({ message }) => typeof message === "string"));
};

const [john, susan, silent] = await Promise.all([register(url), register(url), register(url)]);
await ask(url, john.token, FOLLOW, { username: susan.username });

// What takes long goes on beside the rest.
const slow = check("a stream without events is kept alive by comments", async () => {
  const stream = await listen(silent);
  const event = stream.next();
  while (!stream.comments) await sleep(50);
  stream.abort();
  await assert.rejects(event, { name: "AbortError" });
}, PATIENCE);

// -- The answer's head
await check("POST: 200, text/event-stream, not to be cached", async () => {
  const response = await request({ query: "{ __typename }" });
  isStream(response);
  assert.match(response.headers.get("cache-control"), /no-cache|no-store/);
});
await check("GET: 200, text/event-stream", async () => {
  const response = await get({ query: "query ($id: ID!) { node(id: $id) { id } }", variables: JSON.stringify({ id: susan.id }) });
  isStream(response);
  assert.deepEqual(await new Stream(response).all(), [next({ node: { id: susan.id } }), complete]);
});
for (const accept of ["text/event-stream, application/json;q=0.5", "application/json;q=0.5, text/event-stream", "Text/Event-Stream"]) {
  await check(`Accept: ${accept}`, async () => {
    const response = await request({ accept, query: "{ __typename }" });
    isStream(response);
    await response.text();
  });
}

// -- Events
await check("a query: one next, then complete, and the end", async () => {
  const stream = await open({ query: "{ __typename }" });
  assert.deepEqual(await stream.next(), next({ __typename: "Query" }));
  assert.deepEqual(await stream.all(), [complete]);
});
await check("complete has a field for data, without which an EventSource does not hear it", async () => {
  const text = await (await request({ query: "{ __typename }" })).text();
  assert.match(text, /^event: ?complete\ndata:\s*\n\n/m, JSON.stringify(text));
});
await check("a mutation: one next, then complete", async () => {
  const stream = await open({ user: john, query: CREATE, variables: { body: "Hello\n\n\"data: 1\"\n🐦" } });
  assert.deepEqual(await stream.next(), next({ createPost: { post: { body: "Hello\n\n\"data: 1\"\n🐦" } } }));
  assert.deepEqual(await stream.all(), [complete]);
});
await check("an error while executing comes in next, then complete", async () => {
  const stream = await open({ query: '{ __typename node(id: "?") { id } }' });
  const { event, data: { data, errors } } = await stream.next();
  assert.equal(event, "next");
  assert(data === null || data.node === null);
  assert.equal(errors[0].extensions.code, "INVALID_ID");
  assert.deepEqual(await stream.all(), [complete]);
});
await check("a subscription: a next for each event", async () => {
  const stream = await listen(john);
  for (const body of ["one", "two", "three"]) {
    const id = await write(url, susan, body);
    assert.deepEqual(await stream.next(), post(id));
  }
  stream.abort();
});
await check("a subscription by GET", async () => {
  const response = await get({ query: COUNTS, variables: JSON.stringify({ userId: susan.id }) });
  isStream(response);
  const stream = new Stream(response);
  assert.deepEqual(await stream.next(), next({ followCounts: { followersCount: 1 } }));
  await stream.events.return();
});
await check("a subscription that ends: complete, and the end", async () => {
  const mary = await register(url);
  const stream = await open({ query: COUNTS, variables: { userId: mary.id } });
  assert.deepEqual(await stream.next(), next({ followCounts: { followersCount: 0 } }));
  await ask(url, mary.token, `mutation { deleteAccount(input: {password: "${PASSWORD}"}) { changed } }`);
  assert.deepEqual(await stream.all(), [complete]);
});
await check("a subscription that fails later: a last next with errors, then complete", async () => {
  const mary = await register(url);
  await ask(url, mary.token, FOLLOW, { username: susan.username });
  const stream = await listen(mary);
  const id = await write(url, susan, "for her");
  assert.deepEqual(await stream.next(), post(id));
  await ask(url, mary.token, "mutation { logout { changed } }");
  await write(url, susan, "not for her");
  const [last, ...rest] = await stream.all();
  assert.equal(last.data.errors[0].extensions.code, "UNAUTHENTICATED");
  assert.deepEqual(rest, [complete]);
});
await check("streams side by side, each with its own events", async () => {
  const streams = await Promise.all(Array.from({ length: 10 }, () => listen(john)));
  const id = await write(url, susan, "for all");
  for (const stream of streams) assert.deepEqual(await stream.next(), post(id));
  for (const stream of streams) stream.abort();
});
await check("clients that hang up leave no stream behind", async () => {
  for (let n = 0; n < 64; n++) {
    (await listen(john)).abort();
    // Fewer at the same time than a user may have.
    if (n % 16 === 15) await sleep(250);
  }
});

// -- What does not come to run
for (const [name, query, variables, code] of [
  ["an unknown field", "{ nope }", null, "GRAPHQL_VALIDATION_FAILED"],
  ["an unknown field of a subscription", "subscription { nope }", null, "GRAPHQL_VALIDATION_FAILED"],
  ["a missing variable", COUNTS, {}, "GRAPHQL_VALIDATION_FAILED"],
  ["a subscription without a token", TIMELINE, null, "UNAUTHENTICATED"],
  ["a subscription with a wrong argument", COUNTS, { userId: "?" }, "INVALID_ID"],
]) {
  await check(`${name}: told in the stream, by next, then complete`, async () => {
    const stream = await open({ query, variables });
    const { event, data } = await stream.next();
    assert.equal(event, "next");
    assert.equal(data.errors[0].extensions.code, code);
    assert.deepEqual(await stream.all(), [complete]);
  });
}
await check("a document that cannot be parsed: 400 and JSON", async () => refusal(await request({ query: "{" }), 400));
await check("a request without a query: 400 and JSON", async () => refusal(await request({}), 400));
await check("a wrong token: 401 and JSON", async () =>
  refusal(await request({ user: { token: "wrong" }, query: "{ __typename }" }), 401));
await check("a mutation by GET: 405 and JSON", async () => {
  const response = await get({ query: "mutation { __typename }" });
  assert.equal(response.headers.get("allow"), "POST");
  await refusal(response, 405);
});

// -- The client that everybody uses
const client = (user) => createClient({
  url, headers: user && { authorization: `Bearer ${user.token}` }, retryAttempts: 0 });
const once = async (client, request) => {
  const results = [];
  for await (const result of client.iterate(request)) results.push(result);
  assert.equal(results.length, 1);
  return results[0];
};

await check("graphql-sse: a query and a mutation", async () => {
  const one = client(john);
  const query = "{ viewer { user { username } } }";
  assert.deepEqual(await once(one, { query }), { data: { viewer: { user: { username: john.username } } } });
  const { data } = await once(one, { query: CREATE, variables: { body: "Hi" } });
  assert.deepEqual(data, { createPost: { post: { body: "Hi" } } });
  one.dispose();
});
await check("graphql-sse: subscriptions side by side, of which one is left", async () => {
  const one = client(john);
  const request = { query: TIMELINE, variables: { after: await cursor(url, john) } };
  const [left, kept] = [one.iterate(request), one.iterate(request)];
  const id = await write(url, susan, "for two");
  for (const { value } of [await left.next(), await kept.next()]) assert.equal(value.data.timelineEvents.edge.node.id, id);
  await left.return();
  const next = await write(url, susan, "for one");
  assert.equal((await kept.next()).value.data.timelineEvents.edge.node.id, next);
  await kept.return();
  one.dispose();
});
await check("graphql-sse: a subscription that ends completes", async () => {
  const mary = await register(url);
  const one = client();
  const counts = one.iterate({ query: COUNTS, variables: { userId: mary.id } });
  assert.equal((await counts.next()).value.data.followCounts.followersCount, 0);
  await ask(url, mary.token, `mutation { deleteAccount(input: {password: "${PASSWORD}"}) { changed } }`);
  assert.deepEqual(await counts.next(), { done: true, value: undefined });
  one.dispose();
});
await check("graphql-sse: an invalid document is a result with errors", async () => {
  const one = client();
  const { errors } = await once(one, { query: "{ nope }" });
  assert.equal(errors[0].extensions.code, "GRAPHQL_VALIDATION_FAILED");
  one.dispose();
});
await check("graphql-sse: a wrong token is a 401", async () => {
  const one = client({ token: "wrong" });
  const refused = await once(one, { query: "{ __typename }" }).then(() => null, (error) => error);
  assert.equal(refused?.response?.status, 401);
  one.dispose();
});

await slow;
process.exit();
