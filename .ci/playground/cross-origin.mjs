// A page of another origin, in a real browser: what it may do when its origin is named, and what when it is not.
//   node cross-origin.mjs ADDRESS PORT
// ADDRESS is the server's /graphql; it runs with --demo and --cors-origins http://127.0.0.1:PORT. CHROMIUM names another
// browser.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';
import { check, failures } from './checks.mjs';

const [address, port] = process.argv.slice(2);
if (!port) throw new Error('usage: node cross-origin.mjs http://127.0.0.1:8000/graphql 5173');

const page = (_, response) => response.setHeader('content-type', 'text/html').end('<title>elsewhere</title>');
const serve = (port) => new Promise((resolve) => {
  const server = createServer(page).listen(port, '127.0.0.1', () => resolve(server));
});
const servers = [await serve(Number(port)), await serve(0)];
const [named, foreign] = servers.map((server) => `http://127.0.0.1:${server.address().port}/`);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
});

// In the page:
const post = async ({ address, headers, body, method = 'POST' }) => {
  try {
    const response = await fetch(address, { method, headers, body });
    const seen = (name) => response.headers.get(name);
    const told = [seen('x-request-id'), seen('etag')].map((value) => value !== null);
    return { status: response.status, told, text: await response.text() };
  } catch {
    return 'refused';
  }
};
const socket = (address) => new Promise((resolve) => {
  const socket = new WebSocket(address.replace(/^http/, 'ws'), 'graphql-transport-ws');
  socket.onopen = () => socket.send('{"type":"connection_init"}');
  socket.onmessage = ({ data }) => resolve(JSON.parse(data).type);
  socket.onerror = () => resolve('refused');
});

const json = { 'content-type': 'application/json' };
// As Apollo Client names itself, as what traces requests marks them, and with a token.
const usual = { ...json, 'apollographql-client-name': 'web', traceparent: `00-${'1'.repeat(32)}-${'1'.repeat(16)}-01` };
const body = JSON.stringify({ query: '{ user(by: {username: "john"}) { username } }' });
const john = '"username":"john"';
const login = `mutation { login(input: {username: "john", password: "correct horse battery"}) { token } }`;
const { data } = await (await fetch(address, { method: 'POST', headers: json, body: JSON.stringify({ query: login }) })).json();
const authorization = `Bearer ${data.login.token}`;
const subscription = JSON.stringify({ query: 'subscription { timelineEvents { __typename } }' });
const get = `${address}?query=${encodeURIComponent('{ user(by: {username: "john"}) { username } }')}`;

for (const [home, may] of [[named, true], [foreign, false]]) {
  const context = await browser.newContext();
  const tab = await context.newPage();
  await tab.goto(home);
  const whose = may ? 'a page of an origin that is named' : 'a page of any other';
  const ends = may ? '' : ': refused';
  const asks = async (request, holds) => {
    const answer = await tab.evaluate(post, { address, ...request });
    if (may) holds(answer);
    else assert.equal(answer, 'refused');
  };
  await check(`${whose} asks with the headers of ordinary clients${ends}`, () =>
    asks({ headers: usual, body }, ({ status, told, text }) => {
      assert.deepEqual([status, told[0]], [200, true]);
      assert(text.includes(john));
    }));
  await check(`${whose} asks with a token${ends}`, () =>
    asks({ headers: { ...usual, authorization }, body: JSON.stringify({ query: '{ viewer { user { username } } }' }) }, ({ text }) =>
      assert(text.includes(john))));
  await check(`${whose} asks by GET and sees the ETag${ends}`, () =>
    asks({ address: get, method: 'GET', headers: { 'graphql-require-preflight': '1' } }, ({ status, told, text }) => {
      assert.deepEqual([status, told], [200, [true, true]]);
      assert(text.includes(john));
    }));
  await check(`${whose} opens a stream of events${ends}`, async () => {
    const stream = async ({ address, headers, body }) => {
      try {
        const stop = new AbortController();
        const { status } = await fetch(address, { method: 'POST', headers, body, signal: stop.signal });
        stop.abort();
        return status;
      } catch {
        return 'refused';
      }
    };
    const headers = { ...json, accept: 'text/event-stream', authorization };
    assert.equal(await tab.evaluate(stream, { address, headers, body: subscription }), may ? 200 : 'refused');
  });
  await check(`${whose} opens a socket${ends}`, async () => {
    assert.equal(await tab.evaluate(socket, address), may ? 'connection_ack' : 'refused');
  });
  await check(`${whose} writes nothing without being asked first`, async () => {
    const username = `forged${Date.now() % 1e9}`;
    const input = `{username: "${username}", email: "${username}@example.com", password: "correct horse battery"}`;
    const forged = JSON.stringify({ query: `mutation { register(input: ${input}) { token } }` });
    for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
      const plain = await tab.evaluate(post, { address, headers: { 'content-type': type }, body: forged });
      assert(plain === 'refused' || plain.status === 415, JSON.stringify(plain));
    }
    const query = `{ user(by: {username: "${username}"}) { id } }`;
    const answer = await fetch(address, { method: 'POST', headers: json, body: JSON.stringify({ query }) });
    assert.deepEqual(await answer.json(), { data: { user: null } });
  });
  await context.close();
}
await browser.close();
for (const server of servers) server.close();
process.exit(failures ? 1 : 0);
