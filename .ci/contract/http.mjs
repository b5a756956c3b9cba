// GraphQL over HTTP: the audits of graphql-http, the reference implementation of the specification.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql node --test http.mjs
//
// An unmet recommendation (SHOULD) or option (MAY) fails in the same way as an unmet requirement
// (MUST).
import assert from "node:assert/strict";
import test from "node:test";
import { serverAudits } from "graphql-http";
import { LIMIT, url } from "./client.mjs";

// 13 MUST, 23 SHOULD and 25 MAY. The number is asserted so that a new version loses no audit
// unnoticed.
const AUDITS = 61;

const audits = serverAudits({ url, fetchFn: fetch });

for (const { id, name, fn } of audits) {
  test(`${id} ${name}`, LIMIT, async () => {
    const { status, reason } = await fn();
    assert.equal(status, "ok", reason);
  });
}

test(`graphql-http has ${AUDITS} audits`, () => assert.equal(audits.length, AUDITS));
