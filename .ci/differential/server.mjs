// The server under test, over HTTP, and what its responses mean.
import assert from "node:assert/strict";

export const url = process.env.ROOKERY_URL;

// Codes of a request that the server refuses because of what it says.
const SLOW = ["OUTCOME_UNKNOWN", "TIMEOUT", "UNAVAILABLE"];
const REFUSED = ["GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"];
const TIMEOUT_MS = 20_000;

// JSON text. JSON.stringify would lose how the numbers of the variables are written.
function body({ query, variables, operationName }) {
  const parts = [`"query":${JSON.stringify(query)}`];
  if (variables !== undefined) parts.push(`"variables":${variables}`);
  if (operationName !== undefined) parts.push(`"operationName":${JSON.stringify(operationName)}`);
  return `{${parts.join(",")}}`;
}

// Returns a function that sends a request and returns the text of the response.
//
// Subscriptions are sent for server-sent events. The response is their first event, and the
// connection is closed after it. A document that may have a subscription is sent in the same way,
// because queries and mutations are answered by an event too.
export function httpServer(token) {
  const authorization = token && { authorization: `Bearer ${token}` };
  return async (request) => {
    const accept = request.query.includes("subscription")
      ? "text/event-stream"
      : "application/json";
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const headers = { accept, "content-type": "application/json", ...authorization };
    const response = await fetch(url, { method: "POST", headers, body: body(request), signal });
    if (!response.headers.get("content-type").startsWith("text/event-stream"))
      return response.text();
    let text = "";
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const data = /^event: next\ndata: (.*)$/m.exec(text)?.[1];
      if (data !== undefined && text.includes("\n\n")) return (abort.abort(), data);
      // A subscription that ends without an event was accepted.
      if (text.includes("event: complete")) return '{"data":null}';
    }
    return assert.fail(`the stream ended with ${JSON.stringify(text)}`);
  };
}

// Sends a request for the data that a test needs.
export async function data(send, query, variables) {
  const text = await send({ query, variables: variables && JSON.stringify(variables) });
  const response = JSON.parse(text);
  assert.equal(response.errors, undefined, text);
  return response.data;
}

// The verdict of a response: "ok", "refused", "limit" if a limit of the server was exceeded, or
// "failed" for what must not happen.
export function resultOf(text, { query }) {
  const response = JSON.parse(text);
  if ("data" in response) return { result: "ok", text };
  const { message, path, extensions } = response.errors[0];
  const answer = { messages: [message], code: extensions?.code, text };
  if (answer.code === "QUERY_TOO_COMPLEX") return { result: "limit", ...answer };
  // On a busy machine the server may accept a mutation and be too slow to finish it.
  if (SLOW.includes(answer.code)) return { result: "ok", ...answer };
  // A lone surrogate cannot be in a request body, so the server refuses the body.
  const isBad = answer.code === "BAD_REQUEST" && !query.isWellFormed();
  if (isBad) return { result: "refused", ...answer };
  // A subscription whose field fails has no data either.
  const isSubscription = query.includes("subscription");
  if (
    isSubscription &&
    (path?.length || answer.code === "UNAUTHENTICATED" || answer.code?.startsWith("INVALID_"))
  ) {
    return { result: "ok", ...answer };
  }
  return { result: REFUSED.includes(answer.code) ? "refused" : "failed", ...answer };
}

// The text of `data` in the text of a response, character for character, so that the order of keys
// and keys that occur twice are seen.
export function dataText(text) {
  const at = text.indexOf('"data":');
  assert(at === 1, text);
  let [depth, isInString] = [0, false];
  for (let n = at + 7; n < text.length; n++) {
    const character = text[n];
    if (isInString) {
      if (character === "\\") n++;
      else if (character === '"') isInString = false;
    } else if (character === '"') isInString = true;
    else if ("{[".includes(character)) depth++;
    else if (depth > 0 && "}]".includes(character)) depth--;
    else if (depth === 0 && ",}".includes(character)) return text.slice(at + 7, n);
  }
  return assert.fail(text);
}

// Runs `work` for each item, `width` at a time, and returns the results in order.
export async function inParallel(items, width, work) {
  const results = [];
  const queue = items.entries();
  const run = async () => {
    for (const [n, item] of queue) results[n] = await work(item, n);
  };
  await Promise.all(Array.from({ length: width }, run));
  return results;
}
