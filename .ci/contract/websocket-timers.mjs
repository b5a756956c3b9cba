// The protocol graphql-transport-ws: what the server does after a time. It runs beside
// websocket.mjs, because each test waits for many seconds.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql node --test websocket-timers.mjs
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { register } from "./client.mjs";
import { Socket } from "./socket.mjs";

// Longer than the server's timeout for connection_init, and than its interval between pings.
const LIMIT = { timeout: 45_000 };

const john = await register();

describe("timers", { concurrency: true }, () => {
  test("a client that sends pings but no connection_init is closed with 4408", LIMIT, async () => {
    const socket = await Socket.open();
    const pinging = setInterval(() => socket.send({ type: "ping" }), 1000);
    try {
      await socket.isClosedWith(4408, "Connection initialisation timeout");
    } finally {
      clearInterval(pinging);
    }
  });

  test("an acknowledged socket stays open, and the server pings it", LIMIT, async () => {
    const socket = await Socket.connect(john);
    const ping = new Promise((resolve) => socket.ws.on("ping", resolve));
    await Promise.race([ping, socket.next()]);
    assert.deepEqual(await socket.drain(), []);
    await socket.close();
  });
});
