// Compares the answers of valid queries with those of their normal forms (normal-form.mjs).
import assert from "node:assert/strict";
import { generate } from "./generate.mjs";
import { normalForm } from "./normal-form.mjs";
import { Random, SEED } from "./random.mjs";
import { schema } from "./schema.mjs";
import { dataText, inParallel, resultOf } from "./server.mjs";
import { DEFAULT_POOL } from "./values.mjs";

const WIDTH = 4;
// The data may change between the request and its normal form.
const ATTEMPTS = 3;

// Sends generated queries with values of the pool, and returns those with another answer.
export async function compareAnswers(send, count, pool = DEFAULT_POOL) {
  const disagreements = [];
  const counts = { equal: 0, null: 0, limits: 0 };
  const options = { pool, operations: [[1, "query"]], isForAnswers: true };
  const compare = async ({ request, verdict }) => {
    const { query, answer } = normalForm(schema, verdict);
    const form = { query, variables: request.variables };
    for (let attempt = 1; ; attempt++) {
      const wanted = resultOf(await send(form), form);
      const actual = resultOf(await send(request), request);
      if ([wanted, actual].some(({ result }) => result === "limit")) return counts.limits++;
      const data = wanted.result === "ok" ? JSON.parse(wanted.text).data : undefined;
      const text = wanted.result === "ok" ? answer(data) : wanted.text;
      const isEqual = actual.result === "ok" && dataText(actual.text) === text;
      if (!isEqual && attempt < ATTEMPTS) continue;
      if (data === null) counts.null++;
      if (isEqual) return counts.equal++;
      const { messages } = actual.result === "ok" ? wanted : actual;
      const expected = { result: text, text: `by the normal form ${query}` };
      return disagreements.push({
        kind: messages ? "refused" : "another answer",
        request,
        expected,
        actual: { result: actual.result, text: actual.text },
        message: messages?.[0],
      });
    }
  };
  await inParallel(Array.from({ length: count }), WIDTH, (_, n) =>
    compare(generate(schema, new Random(SEED, n, 2), options)),
  );
  console.log(`${counts.equal} equal answers; ${counts.null} answers without data`);
  assert(counts.null <= count / 3, "too few queries have data to compare");
  return { disagreements, limits: counts.limits, count };
}
