// The handwritten TypeScript of the example clients uses no `any` and suppresses no type error.
//
//     node --test no-any.mjs
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ESCAPES =
  /([:=|&<,(]|=>|\bas|\bextends) *any\b|\bany *(\[\]|[>|&])|@ts-(ignore|nocheck|expect-error)/;
const GENERATED = /\/(node_modules|gql|__generated__)\//;

const clients = ["typescript", "relay"].map((name) =>
  fileURLToPath(new URL(`../../clients/${name}/`, import.meta.url)),
);
const sources = clients.flatMap((folder) =>
  readdirSync(folder, { recursive: true })
    .map((name) => folder + name)
    .filter((path) => /\.tsx?$/.test(path) && !GENERATED.test(path)),
);

test(`the ${sources.length} TypeScript files have no any and no suppressed error`, () => {
  assert(sources.length > 0);
  const found = sources.flatMap((path) =>
    readFileSync(path, "utf8")
      .split("\n")
      .map((text, n) => ({ text, place: `${path}:${n + 1}` }))
      .filter(({ text }) => ESCAPES.test(text))
      .map(({ place, text }) => `${place}: ${text.trim()}`),
  );
  assert.deepEqual(found, []);
});
