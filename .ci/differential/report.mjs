// What differs between the server and graphql-js, for people to read.
import assert from "node:assert/strict";

// Disagreements that are meant to be: what they have in common, and the reason.
//
//     { matches: ({ kind, request, expected, actual }) => boolean, reason: "..." }
const KNOWN = [
  {
    matches: ({ request }) => /\\u\{0{3,}[0-9a-fA-F]{6,}\}/.test(request.query),
    reason: "the specification has no limit for the leading zeros of an escape, graphql-js has",
  },
  {
    matches: ({ kind, request, message }) =>
      message?.includes("differing arguments") && request.query.includes('"""'),
    reason: "graphql-js tells a block string from a string with the same value",
  },
];

const MAX_SKIPPED = 0.02;
const EXAMPLES_PER_GROUP = 2;

export function printTable(head, rows) {
  const lines = [head, head.map(() => "---"), ...rows];
  console.log(lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n"));
}

const short = (message) => message.replace(/"[^"]*"|\$\w+|`[^`]*`|\d+/g, "…");
const sizeOf = ({ request: { query, variables } }) => query.length + (variables?.length ?? 0);
const describe = ({ result, messages, text }) => [result, messages?.join("; "), text].join(" ");

// Prints the smallest disagreements of each group, and fails if there are any, or if the server
// answered too few requests.
//
// A disagreement is {kind, request, expected, actual, message}: two verdicts or answers, and the
// message of the one that refuses the request, if one does.
export function assertNone({ disagreements, limits, count }) {
  const groups = new Map();
  const sorted = disagreements.toSorted((a, b) => sizeOf(a) - sizeOf(b));
  const unknown = sorted.filter((each) => !KNOWN.some(({ matches }) => matches(each)));
  for (const each of unknown) {
    const group = `${each.kind}: ${short(each.message ?? "")}`;
    groups.set(group, [...(groups.get(group) ?? []), each]);
  }
  for (const [group, list] of groups) {
    console.log(`\n== ${group} (${list.length})`);
    for (const { request, expected, actual } of list.slice(0, EXAMPLES_PER_GROUP)) {
      const operationName = JSON.stringify(request.operationName);
      console.log(`--\n${JSON.stringify(request.query)}`);
      console.log(`   variables: ${request.variables}, operationName: ${operationName}`);
      console.log(`   expected:  ${describe(expected)}`);
      console.log(`   actual:    ${describe(actual)}`);
    }
  }
  const known = disagreements.length - unknown.length;
  if (known > 0) console.log(`${known} known disagreements`);
  assert.equal(unknown.length, 0, `${unknown.length} disagreements`);
  assert(limits <= count * MAX_SKIPPED, `${limits} of ${count} requests were over a limit`);
}
