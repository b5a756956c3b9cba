// GraphQL over HTTP, by the audits of the working group's reference implementation.
//
//     node http.mjs http://127.0.0.1:8000/graphql
//
// A recommendation (SHOULD) and an option (MAY) that does not hold fails as a requirement (MUST) does.
import { serverAudits } from "graphql-http";
import { address, report } from "./checks.mjs";

// As many as there are, so that none goes missing: 13 MUST, 23 SHOULD, 25 MAY.
const AUDITS = 61;

// A GET without it could have been sent by a page of any site, unasked, and is refused; the draft leaves that to servers.
const fetchFn = (url, init = {}) => {
  const headers = new Headers(init.headers);
  if (!init.method || init.method === "GET") headers.set("graphql-require-preflight", "1");
  return fetch(url, { ...init, headers });
};

const audits = serverAudits({ url: address(), fetchFn });
for (const { id, name, fn } of audits) {
  // Some throw instead, when there is no answer at all.
  const { status, reason } = await fn().catch((error) => ({ status: "fatal", reason: error.message }));
  report(status === "ok", `${id} ${name}`, `${status}: ${reason}`);
}
report(audits.length === AUDITS, `${AUDITS} audits`, `there are ${audits.length}`);
