// A client of server-sent events that keeps the details which an EventSource in a browser hides.
import assert from "node:assert/strict";
import { after } from "node:test";
import { streamCursor, TIMELINE, url } from "./client.mjs";

// A stream that a failed test leaves open would keep the process alive.
const ending = new AbortController();
after(() => ending.abort());

// The events of a response, read as the HTML standard specifies. An event without data is no event.
export class Stream {
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
        const lines = text.slice(0, end).split("\n");
        const fields = lines.map((line) => /^([^:]*)(?:: ?(.*))?$/.exec(line).slice(1));
        this.comments += fields.filter(([name]) => name === "").length;
        const event = fields.findLast(([name]) => name === "event")?.[1] ?? "message";
        const values = fields.filter(([name]) => name === "data").map(([, value = ""]) => value);
        if (!values.length) continue;
        const data = values.join("\n");
        yield event === "next" ? { event, data: JSON.parse(data) } : { event, data };
      }
    }
    assert.equal(text, "", "the stream ends in the middle of an event");
  }

  async next() {
    return (await this.events.next()).value;
  }

  // The events up to the end of the stream.
  async rest() {
    const events = [];
    for await (const event of this.events) events.push(event);
    return events;
  }
}

export function post({ user, accept = "text/event-stream", signal, ...parameters }) {
  const authorization = user && { authorization: `Bearer ${user.token}` };
  return fetch(url, {
    method: "POST",
    headers: { accept, "content-type": "application/json", ...authorization },
    body: JSON.stringify(parameters),
    signal: signal ?? ending.signal,
  });
}

// The request of an EventSource in a page of the same origin.
export function get(parameters) {
  return fetch(`${url}?${new URLSearchParams(parameters)}`, {
    headers: { accept: "text/event-stream", "sec-fetch-site": "same-origin" },
    signal: ending.signal,
  });
}

export function isEventStream(response) {
  const type = response.headers.get("content-type");
  const seen = `${response.status}, ${type}`;
  assert.match(type, /^text\/event-stream(; *charset=utf-8)?$/i, seen);
  assert.equal(response.status, 200);
}

export async function open(parameters) {
  const abort = new AbortController();
  const signal = AbortSignal.any([abort.signal, ending.signal]);
  const response = await post({ ...parameters, signal });
  isEventStream(response);
  return new Stream(response, () => abort.abort());
}

// Every event after this is delivered.
export async function watchTimeline(user) {
  return open({ user, query: TIMELINE, variables: { after: await streamCursor(user) } });
}
