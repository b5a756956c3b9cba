// Compares verdicts: what the server accepts and refuses with what graphql-js does.
import { parse, validate } from "graphql";
import { generate } from "./generate.mjs";
import { KINDS, mutate } from "./mutate.mjs";
import { Random, SEED } from "./random.mjs";
import { printTable } from "./report.mjs";
import { schema } from "./schema.mjs";
import { inParallel, resultOf } from "./server.mjs";
import { RULES, verdict } from "./verdict.mjs";

const WIDTH = 4;

// Requests to make: each has a kind, and a function that makes it.
export const valid = (count) =>
  Array.from({ length: count }, (_, n) => ({
    kind: "valid",
    make: () => generate(schema, new Random(SEED, n)),
  }));

export const kinds = Object.keys(KINDS);
export const broken = (count) =>
  Array.from({ length: count }, (_, n) => {
    const kind = kinds[n % kinds.length];
    return { kind, make: () => ({ request: mutate(schema, kind, new Random(SEED, n, 1)) }) };
  });

const COLUMNS = ["refused by both", "accepted by both", "skipped", "disagreements", "other code"];

// The column in which a request is counted.
function columnOf(expected, actual) {
  if (expected.result === "unclear" || actual.result === "limit") return "skipped";
  if (expected.result !== actual.result) return "disagreements";
  return expected.result === "ok" ? "accepted by both" : "refused by both";
}

// Sends the requests, and returns those with another verdict. Prints a table by kind. "Other code"
// counts the requests that both refuse, one for a syntax error and the other for another reason.
export async function compareVerdicts(send, items) {
  const rows = new Map();
  const disagreements = [];
  const limits = [];
  await inParallel(items, WIDTH, async ({ kind, make }) => {
    const { request, verdict: known } = make();
    const expected = known ?? verdict(schema, request);
    const isUnclear = expected.result === "unclear";
    const actual = isUnclear ? {} : resultOf(await send(request), request);
    const column = columnOf(expected, actual);
    const counts = rows.get(kind) ?? Object.fromEntries(COLUMNS.map((each) => [each, 0]));
    rows.set(kind, counts);
    counts[column]++;
    if (actual.result === "limit") limits.push(actual.messages[0]);
    if (column === "disagreements") {
      const [message] = (actual.result === "ok" ? expected : actual).messages;
      disagreements.push({ kind, request, expected, actual, message });
    }
    const isSyntax = actual.code === "GRAPHQL_PARSE_FAILED";
    if (column === "refused by both" && isSyntax !== (expected.stage === "parse")) {
      counts["other code"]++;
    }
  });
  const count = (kind) => items.filter((item) => item.kind === kind).length;
  printTable(
    ["kind", "documents", ...COLUMNS],
    [...rows].map(([kind, counts]) => [kind, count(kind), ...Object.values(counts)]),
  );
  console.log(`${limits.length} requests were over a limit of the server`);
  for (const message of new Set(limits)) console.log(`  ${message}`);
  return { disagreements, limits: limits.length, count: items.length };
}

// For each rule of the specification, how many requests it refuses, and how many only it refuses.
export function countRules(items) {
  const counts = new Map(RULES.map(({ name }) => [name, { refused: 0, alone: 0 }]));
  for (const { make } of items) {
    const found = new Set();
    const rules = RULES.map((rule) => (context) => {
      const reportError = () => found.add(rule.name);
      return rule(Object.assign(Object.create(context), { reportError }));
    });
    try {
      validate(schema, parse(make().request.query), rules);
    } catch {
      // A syntax error, or a subscription on which graphql-js throws: see verdict.mjs.
      continue;
    }
    for (const name of found) {
      counts.get(name).refused++;
      if (found.size === 1) counts.get(name).alone++;
    }
  }
  return [...counts].map(([name, { refused, alone }]) => [name, refused, alone]);
}
