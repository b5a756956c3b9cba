// A client of the protocol graphql-transport-ws that can break each rule of the protocol.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import WebSocket from "ws";
import { LIMIT, streamCursor, TIMELINE, url } from "./client.mjs";

export const PROTOCOL = "graphql-transport-ws";

// A socket that a failed test leaves open would keep the process alive.
const opened = new Set();
after(() => {
  for (const ws of opened) ws.terminate();
});

export class Socket {
  messages = [];
  #wake = () => {};
  #pings = 0;

  constructor(protocols, headers) {
    // With the header set by hand, the server may accept the handshake without a subprotocol and
    // close the socket with a code. The library would fail the handshake before that.
    const byHand = !protocols.includes(PROTOCOL) && protocols.length > 0;
    const wanted = byHand ? { "sec-websocket-protocol": protocols.join() } : {};
    this.ws = new WebSocket(url.replace(/^http/, "ws"), byHand ? [] : protocols, {
      headers: { ...headers, ...wanted },
    });
    opened.add(this.ws);
    this.closed = new Promise((resolve, reject) => {
      this.ws.on("close", (code, reason) => resolve({ code, reason: String(reason) }));
      this.ws.on("error", reject);
    });
    this.closed.catch(() => {}).then(() => opened.delete(this.ws));
    this.ws.on("message", (data, isBinary) => {
      assert(!isBinary);
      this.messages.push(JSON.parse(data));
      this.#wake();
    });
  }

  // An open socket, before connection_init.
  static async open(protocols = [PROTOCOL], headers = {}) {
    const socket = new Socket(protocols, headers);
    const open = new Promise((resolve) => socket.ws.on("open", resolve));
    await Promise.race([open, socket.closed]);
    return socket;
  }

  // An acknowledged socket of the user, or an anonymous socket.
  static async connect(user) {
    const socket = await Socket.open();
    const payload = user && { authorization: `Bearer ${user.token}` };
    socket.send({ type: "connection_init", payload });
    assert.equal((await socket.next()).type, "connection_ack");
    return socket;
  }

  // The HTTP response with which the server rejects the handshake.
  static async rejection(headers) {
    const { ws } = new Socket([PROTOCOL], headers);
    const response = await new Promise((resolve, reject) => {
      ws.on("unexpected-response", (_, response) => resolve(response));
      ws.on("open", () => reject(new Error("the server accepted the handshake")));
    });
    let body = "";
    for await (const part of response.setEncoding("utf8")) body += part;
    return { status: response.statusCode, body: JSON.parse(body) };
  }

  send(...messages) {
    for (const message of messages) {
      this.ws.send(typeof message === "string" ? message : JSON.stringify(message));
    }
  }

  subscribe(id, query, variables, more) {
    this.send({ id, type: "subscribe", payload: { query, variables, ...more } });
  }

  // The next message. Fails when the socket closes first.
  async next() {
    const closed = this.closed.then(({ code, reason }) => {
      throw new Error(`closed with ${code} ${reason}`);
    });
    closed.catch(() => {});
    while (!this.messages.length) {
      await Promise.race([new Promise((resolve) => (this.#wake = resolve)), closed]);
    }
    return this.messages.shift();
  }

  // The messages that arrive before the pong of a ping that is sent now.
  async drain() {
    const payload = { ping: ++this.#pings };
    this.send({ type: "ping", payload });
    const received = [];
    for (;;) {
      const message = await this.next();
      if (message.type === "pong" && message.payload?.ping === payload.ping) return received;
      received.push(message);
    }
  }

  // The messages of an operation, from the first to `complete` or `error`.
  async operation(id) {
    const received = [];
    while (!["complete", "error"].includes(received.at(-1)?.type)) {
      const message = await this.next();
      assert.equal(message.id, id, JSON.stringify(message));
      received.push(message);
    }
    return received;
  }

  // Waits until the server closes the socket. Every close must have a reason.
  async isClosedWith(code, reason) {
    const closed = await this.closed;
    assert.equal(closed.code, code, `closed with ${closed.code} ${closed.reason}`);
    if (reason !== undefined) assert.equal(closed.reason, reason);
    assert.notEqual(closed.reason, "", "the server gave no reason");
  }

  async close() {
    this.ws.close(1000);
    await this.closed;
  }
}

// A test with an acknowledged socket of its own. At the end the socket must be open and must have
// received nothing that the test did not read.
export const testWithSocket = (name, user, run) =>
  test(name, LIMIT, async () => {
    const socket = await Socket.connect(user);
    try {
      await run(socket);
      assert.deepEqual(await socket.drain(), [], "unexpected messages");
    } finally {
      await socket.close();
    }
  });

// The messages of the query `{ __typename }`.
export const typenameMessages = (id) => [
  { id, type: "next", payload: { data: { __typename: "Query" } } },
  { id, type: "complete" },
];

// The message that a subscription to `TIMELINE` receives for a new post.
export const postMessage = (id, postId) => ({
  id,
  type: "next",
  payload: { data: { timelineEvents: { edge: { node: { id: postId } } } } },
});

// Subscribes to the user's timeline, once for each id. Every later event is delivered.
export async function watchTimeline(socket, user, ...ids) {
  const after = await streamCursor(user);
  for (const id of ids) socket.subscribe(id, TIMELINE, { after });
}
