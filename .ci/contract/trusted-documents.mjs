// A server that runs the documents of a manifest and no others: --trusted-documents FILE
// --require-trusted-documents.
//
//     export ROOKERY_URL=http://127.0.0.1:8000/graphql MANIFEST=persisted.json
//     node --test trusted-documents.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { LIMIT, url } from "./client.mjs";

assert(process.env.MANIFEST, "set MANIFEST to the file with the trusted documents");
const documents = Object.entries(JSON.parse(readFileSync(process.env.MANIFEST, "utf8")));

// In a manifest, fragments may come before the operation.
const isUserQuery = (text) => /\bquery \w+/.test(text) && text.includes("user(by:");
const [id] = documents.find(([, text]) => isUserQuery(text)) ?? [];
assert(id, "the manifest has no query for a user");
const variables = { by: { username: "unknown" }, username: "unknown" };

async function send(parameters) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(parameters) });
  return response.json();
}

const isExecuted = ({ data, errors }) => {
  assert.equal(errors, undefined, JSON.stringify(errors));
  assert("user" in data, JSON.stringify(data));
};
const isRejectedWith = ({ errors }, code) => assert.equal(errors?.[0].extensions.code, code);

test("a trusted document is executed by its id", LIMIT, async () => {
  isExecuted(await send({ documentId: id, variables }));
});

test(
  "a trusted document is executed by its hash in the form of Apollo's persisted queries",
  LIMIT,
  async () => {
    const persistedQuery = { version: 1, sha256Hash: id.replace("sha256:", "") };
    isExecuted(await send({ extensions: { persistedQuery }, variables }));
  },
);

test("an unknown id is rejected with PERSISTED_QUERY_NOT_FOUND", LIMIT, async () => {
  isRejectedWith(await send({ documentId: "0" }), "PERSISTED_QUERY_NOT_FOUND");
});

test("another document is rejected with DOCUMENT_NOT_TRUSTED", LIMIT, async () => {
  isRejectedWith(await send({ query: "{ __typename }" }), "DOCUMENT_NOT_TRUSTED");
});
