// A client of the protocol graphql-transport-ws that may break each of its rules.
import assert from "node:assert/strict";
import WebSocket from "ws";
import { cursor, TIMELINE } from "./ask.mjs";
import { address, check } from "./checks.mjs";

const url = address().replace(/^http/, "ws");
export const PROTOCOL = "graphql-transport-ws";
export const LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { userErrors { message } } }";

export class Socket {
  messages = [];
  #waiting = () => {};
  #marks = 0;

  constructor(protocols, headers) {
    // By hand, a server may refuse a protocol and say why; otherwise the library hangs up first.
    const byHand = !protocols.includes(PROTOCOL) && protocols.length > 0;
    const wanted = byHand ? { "sec-websocket-protocol": protocols.join() } : {};
    this.ws = new WebSocket(url, byHand ? [] : protocols, { headers: { ...headers, ...wanted } });
    this.closed = new Promise((resolve, reject) => {
      this.ws.on("close", (code, reason) => resolve({ code, reason: String(reason) }));
      this.ws.on("error", reject);
    });
    this.closed.catch(() => {});
    this.ws.on("message", (data, isBinary) => {
      assert(!isBinary);
      this.messages.push(JSON.parse(data));
      this.#waiting();
    });
  }

  static async open(protocols = [PROTOCOL], headers = {}) {
    const socket = new Socket(protocols, headers);
    await Promise.race([new Promise((resolve) => socket.ws.on("open", resolve)), socket.closed]);
    return socket;
  }

  // The answer in place of a socket.
  static async refusal(headers) {
    const { ws } = new Socket([PROTOCOL], headers);
    const response = await new Promise((resolve, reject) => {
      ws.on("unexpected-response", (_, response) => resolve(response));
      ws.on("open", () => reject(new Error("it was opened")));
    });
    let body = "";
    for await (const part of response.setEncoding("utf8")) body += part;
    return { status: response.statusCode, body: JSON.parse(body) };
  }

  // Acknowledged, as somebody or as nobody.
  static async of(user) {
    const socket = await Socket.open();
    const payload = user && { authorization: `Bearer ${user.token}` };
    socket.send({ type: "connection_init", payload });
    assert.equal((await socket.next()).type, "connection_ack");
    return socket;
  }

  send(...messages) {
    for (const message of messages) this.ws.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  subscribe(id, query, variables, more) {
    this.send({ id, type: "subscribe", payload: { query, variables, ...more } });
  }

  // What comes next; an error when the socket closes instead.
  async next() {
    const closed = this.closed.then(({ code, reason }) => {
      throw new Error(`closed with ${code} ${reason}`);
    });
    closed.catch(() => {});
    while (!this.messages.length) {
      await Promise.race([new Promise((resolve) => (this.#waiting = resolve)), closed]);
    }
    return this.messages.shift();
  }

  // Everything that came before the answer to a ping that is sent now.
  async untilNow() {
    const payload = { mark: ++this.#marks };
    this.send({ type: "ping", payload });
    const came = [];
    for (;;) {
      const message = await this.next();
      if (message.type === "pong" && message.payload?.mark === payload.mark) return came;
      came.push(message);
    }
  }

  // An operation's messages, from the first to the last.
  async all(id) {
    const came = [];
    while (!["complete", "error"].includes(came.at(-1)?.type)) {
      const message = await this.next();
      assert.equal(message.id, id, JSON.stringify(message));
      came.push(message);
    }
    return came;
  }

  async closes(code, reason) {
    const closed = await this.closed;
    assert.equal(closed.code, code, `closed with ${closed.code} ${closed.reason}`);
    if (reason !== undefined) assert.equal(closed.reason, reason);
    assert.notEqual(closed.reason, "", "no reason is given");
  }

  async ends() {
    this.ws.close(1000);
    await this.closed;
  }
}

// A check with a socket of its own, acknowledged; the socket must be open at the end, with nothing unexpected in it.
export const withSocket = (user, name, run) => check(name, async () => {
  const socket = await Socket.of(user);
  try {
    await run(socket);
    assert.deepEqual(await socket.untilNow(), [], "something came unasked");
  } finally {
    await socket.ends();
  }
});

// What comes of a query for __typename, and of a post.
export const typename = (id) => [
  { id, type: "next", payload: { data: { __typename: "Query" } } },
  { id, type: "complete" },
];
export const post = (id, node) => ({ id, type: "next", payload: { data: { timelineEvents: { edge: { node: { id: node } } } } } });
// Whatever happens from now on is heard.
export const listen = async (socket, user, ...ids) => {
  const after = await cursor(address(), user);
  for (const id of ids) socket.subscribe(id, TIMELINE, { after });
};
