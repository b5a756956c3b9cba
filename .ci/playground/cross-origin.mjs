// Pages of other origins in Chromium: an origin in --cors-origins may use the server, and another
// origin may not.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql PAGE_PORT=5173 node --test cross-origin.mjs
//
// The server runs with --demo and --cors-origins http://127.0.0.1:PAGE_PORT. CHROMIUM names another
// browser.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";

const address = process.env.ROOKERY_URL;
const port = Number(process.env.PAGE_PORT);
assert(address && port, "set ROOKERY_URL to the address of /graphql, and PAGE_PORT to a port");
const LIMIT = { timeout: 60_000 };

// Two servers with an empty page each: one at the allowed origin, the other at another port.
const html = (_, response) =>
  response.setHeader("content-type", "text/html").end("<title>Page</title>");
const serve = (port) =>
  new Promise((resolve) => {
    const server = createServer(html).listen(port, "127.0.0.1", () => resolve(server));
  });
const servers = [await serve(port), await serve(0)];
const [allowed, other] = servers.map((server) => `http://127.0.0.1:${server.address().port}/`);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});
after(async () => {
  await browser.close();
  for (const server of servers) server.close();
});

// These functions run in the page. Each returns "blocked" when the browser blocks the request.
const sendInPage = async ({ address, headers, body, method = "POST" }) => {
  try {
    const response = await fetch(address, { method, headers, body });
    const isVisible = (name) => response.headers.get(name) !== null;
    const visible = { requestId: isVisible("x-request-id"), etag: isVisible("etag") };
    return { status: response.status, visible, text: await response.text() };
  } catch {
    return "blocked";
  }
};
const streamInPage = async ({ address, headers, body }) => {
  try {
    const abort = new AbortController();
    const { signal } = abort;
    const { status } = await fetch(address, { method: "POST", headers, body, signal });
    abort.abort();
    return status;
  } catch {
    return "blocked";
  }
};
const openSocketInPage = (address) =>
  new Promise((resolve) => {
    const socket = new WebSocket(address.replace(/^http/, "ws"), "graphql-transport-ws");
    socket.onopen = () => socket.send('{"type":"connection_init"}');
    socket.onmessage = ({ data }) => resolve(JSON.parse(data).type);
    socket.onerror = () => resolve("blocked");
  });

async function execute(query) {
  const response = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query }),
  });
  return response.json();
}

const json = { "content-type": "application/json" };
// The headers of ordinary clients: Apollo Client's name, and a trace context.
const usual = {
  ...json,
  "apollographql-client-name": "web",
  traceparent: `00-${"1".repeat(32)}-${"1".repeat(16)}-01`,
};
const userQuery = '{ user(by: {username: "john"}) { username } }';
const viewerQuery = "{ viewer { user { username } } }";
const subscription = "subscription { timelineEvents { __typename } }";
const john = '"username":"john"';

const password = "correct horse battery";
const login = `mutation { login(input: {username: "john", password: "${password}"}) { token } }`;
const authorization = `Bearer ${(await execute(login)).data.login.token}`;

for (const [home, isAllowed] of [
  [allowed, true],
  [other, false],
]) {
  describe(isAllowed ? "a page of an allowed origin" : "a page of another origin", () => {
    let page;
    before(async () => {
      page = await browser.newPage();
      await page.goto(home);
    });
    after(() => page.close());

    const may = isAllowed ? "can" : "cannot";
    // Sends a request from the page. `verify` checks the response that an allowed origin gets.
    const send = async (request, verify) => {
      const response = await page.evaluate(sendInPage, { address, ...request });
      if (isAllowed) verify(response);
      else assert.equal(response, "blocked");
    };

    test(`${may} send a query with the headers of ordinary clients`, LIMIT, () =>
      send(
        { headers: usual, body: JSON.stringify({ query: userQuery }) },
        ({ status, visible, text }) => {
          assert.deepEqual([status, visible.requestId], [200, true]);
          assert(text.includes(john));
        },
      ),
    );

    test(`${may} send a query with a token`, LIMIT, () => {
      const headers = { ...usual, authorization };
      return send({ headers, body: JSON.stringify({ query: viewerQuery }) }, ({ text }) =>
        assert(text.includes(john)),
      );
    });

    test(`${may} send a query by GET and read the ETag`, LIMIT, () => {
      const request = {
        address: `${address}?query=${encodeURIComponent(userQuery)}`,
        method: "GET",
        headers: { "graphql-require-preflight": "1" },
      };
      return send(request, ({ status, visible, text }) => {
        assert.deepEqual([status, visible], [200, { requestId: true, etag: true }]);
        assert(text.includes(john));
      });
    });

    test(`${may} open a stream of server-sent events`, LIMIT, async () => {
      const headers = { ...json, accept: "text/event-stream", authorization };
      const body = JSON.stringify({ query: subscription });
      const status = await page.evaluate(streamInPage, { address, headers, body });
      assert.equal(status, isAllowed ? 200 : "blocked");
    });

    test(`${may} open a WebSocket`, LIMIT, async () => {
      const answer = await page.evaluate(openSocketInPage, address);
      assert.equal(answer, isAllowed ? "connection_ack" : "blocked");
    });

    test("cannot send a mutation without a CORS preflight", LIMIT, async () => {
      const username = `forged${Date.now() % 1e9}`;
      const email = `${username}@example.com`;
      const input = `{username: "${username}", email: "${email}", password: "${password}"}`;
      const body = JSON.stringify({ query: `mutation { register(input: ${input}) { token } }` });
      for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
        const headers = { "content-type": type };
        const response = await page.evaluate(sendInPage, { address, headers, body });
        assert(response === "blocked" || response.status === 415, JSON.stringify(response));
      }
      const found = await execute(`{ user(by: {username: "${username}"}) { id } }`);
      assert.deepEqual(found, { data: { user: null } });
    });
  });
}
