// Server-sent events: what the server does after a time. It runs beside sse.mjs, because the test
// waits for many seconds.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql node --test sse-timers.mjs
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { register } from "./client.mjs";
import { watchTimeline } from "./stream.mjs";

// Longer than the server's interval between comments.
const LIMIT = { timeout: 30_000 };

const john = await register();

test("a stream without events is kept alive by comments", LIMIT, async ({ signal }) => {
  const stream = await watchTimeline(john);
  const event = stream.next();
  event.catch(() => {});
  while (!stream.comments) await sleep(50, null, { signal });
  stream.abort();
  await assert.rejects(event, { name: "AbortError" });
});
