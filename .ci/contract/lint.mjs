// The schema by the rules of graphql-eslint (its presets for schemas and for Relay), and some more.
//
//     node lint.mjs [schema.graphql]
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import plugin from "@graphql-eslint/eslint-plugin";
import { ESLint } from "eslint";
import { assertValidSchema, buildSchema, parse } from "graphql";
import { check, report } from "./checks.mjs";

// All exceptions there are: a rule, the findings that it does not apply to, and why. One that is not needed any
// more fails.
const EXCEPTIONS = [
  ["description-style", /Unexpected inline description/,
    "both styles are the same to clients; the server writes on one line what fits on one line"],
  ["no-typename-prefix", /Field "username" .* "User"/,
    "it is one word, and everybody's word for it"],
  ["strict-id-in-types", /type "\w+(Payload|Connection|Edge|Error)"|type "PageInfo"/,
    "part of an answer, not an object that could be fetched again"],
  ["strict-id-in-types", /type "(RelationshipEvent|StreamLagged|Timeline(Post(Added|Updated|Removed)|Reset))"/,
    "something that happened; where it has a place, that is its cursor"],
  ["strict-id-in-types", /type "(Viewer|RateLimit)"/,
    "there is one, at the root, of whoever asks; who that is, is the id of the viewer's user"],
  ["relay-edge-types", /^nodes: \[\w+!\]!/,
    "the nodes of the edges beside it, for clients that need no edges"],
  ["relay-edge-types", /^userErrors: \[UserError!\]!|^path: \[String!\]/,
    "what is wrong with one request: short, and whole"],
  ["relay-edge-types", /^\): \[Node\]!/,
    "as long as the list of ids that was given: Query.nodes"],
  ["relay-edge-types", /^sessions: \[Session!\]!/,
    "at most 100, and whole"],
  ["require-description", /in directive "(include|skip|specifiedBy)"/,
    "the specification's own directives"],
];

// The rules for schemas that are in neither preset, and are not run.
const LEFT_OUT = {
  "alphabetize": "a type stands beside what it is used with, and its fields in the order in which they are read",
  "input-name": "an input's name says what is in it, as UserBy does, and several mutations share some",
  "no-root-type": "all three root types are wanted",
  "require-deprecation-date": "what is deprecated goes with a release, not on a day",
  "require-field-of-type-query-in-mutation-result": "payloads have all that changes; whatever else is asked for is a query",
  "require-nullable-result-in-root": "mutations answer with a payload in any case, with userErrors when nothing was done",
};

const file = process.argv[2] ?? fileURLToPath(new URL("../../schema.graphql", import.meta.url));
const sdl = readFileSync(file, "utf8");

const { configs } = plugin;
const rules = {
  ...configs["flat/schema-recommended"].rules,
  ...configs["flat/schema-relay"].rules,
  "@graphql-eslint/no-scalar-result-type-on-mutation": "error",
  "@graphql-eslint/require-nullable-fields-with-oneof": "error",
  "@graphql-eslint/require-type-pattern-with-oneof": "error",
  // The preset does without fields, arguments and values of enums. Only OperationDefinition is not here: a schema has none.
  "@graphql-eslint/require-description": ["error", {
    types: true,
    rootField: true,
    DirectiveDefinition: true,
    EnumValueDefinition: true,
    FieldDefinition: true,
    InputValueDefinition: true,
  }],
};
const eslint = new ESLint({
  overrideConfigFile: true,
  overrideConfig: [{
    files: ["**/*.graphql"],
    plugins: { "@graphql-eslint": plugin },
    languageOptions: { parser: plugin.parser, parserOptions: { graphQLConfig: { schema: file } } },
    linterOptions: { noInlineConfig: true },
    rules,
  }],
});
const [{ messages }] = await eslint.lintText(sdl, { filePath: "schema.graphql" });
const lines = sdl.split("\n");
const findings = messages.map(({ ruleId, line, message }) => ({
  rule: ruleId?.replace("@graphql-eslint/", ""),
  line,
  text: `${lines[line - 1]?.trim()} ${message}`,
}));

const needed = new Set();
const isExcepted = ({ rule, text }) => {
  const found = EXCEPTIONS.filter(([name, pattern]) => name === rule && pattern.test(text));
  for (const exception of found) needed.add(exception);
  return found.length > 0;
};
const left = findings.filter((finding) => !isExcepted(finding));
const listed = (findings) => findings.map(({ line, text }) => `line ${line}: ${text}`).join("; ");

// No rule: the schema could not be read.
const unread = left.filter(({ rule }) => !rule);
report(!unread.length, "graphql-eslint reads the schema", listed(unread));
for (const name of Object.keys(rules).map((name) => name.replace("@graphql-eslint/", ""))) {
  const found = left.filter(({ rule }) => rule === name);
  report(!found.length, name, listed(found));
}
const unknown = Object.keys(configs["flat/schema-all"].rules).filter((name) =>
  !(name in rules) && !(name.replace("@graphql-eslint/", "") in LEFT_OUT));
report(!unknown.length, "every rule for schemas is run, or there is a reason why not", unknown.join());
for (const exception of EXCEPTIONS) {
  const [rule, pattern, why] = exception;
  report(needed.has(exception), `an exception to ${rule} is needed: ${why}`, String(pattern));
}

await check("the schema is valid", () => assertValidSchema(buildSchema(sdl)));
await check("scalars have @specifiedBy", () => {
  const scalars = parse(sdl).definitions.filter(({ kind }) => kind === "ScalarTypeDefinition");
  const vague = scalars.filter(({ directives }) => !directives.some(({ name }) => name.value === "specifiedBy"));
  assert.deepEqual(vague.map(({ name }) => name.value), []);
});
