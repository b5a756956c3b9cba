// Checks schema.graphql by the rules of graphql-eslint: its presets for schemas and for Relay, and
// some more.
//
//     node lint.mjs [schema.graphql]
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import plugin from "@graphql-eslint/eslint-plugin";
import { ESLint } from "eslint";
import { assertValidSchema, buildSchema, parse } from "graphql";

// All exceptions: a rule, the findings that it does not apply to, and the reason. An exception
// without a finding fails.
const EXCEPTIONS = [
  [
    "description-style",
    /Unexpected inline description/,
    "both styles are equal to clients, and the server prints a short description on one line",
  ],
  ["no-typename-prefix", /Field "username" .* "User"/, "username is one word and the usual name"],
  [
    "strict-id-in-types",
    /type "\w+(Payload|Connection|Edge|Error)"|type "(PageInfo|FollowManyResult|Suggestion)"/,
    "the type is part of a response, not an object that a client can fetch again",
  ],
  [
    "strict-id-in-types",
    /type "(RelationshipEvent|StreamLagged|Timeline(Post(Added|Updated|Removed)|RepostRemoved|Reset))"/,
    "the type is an event, not an object; its position is its cursor, if it has one",
  ],
  [
    "strict-id-in-types",
    /type "Notification(Added|Removed|sRead)"/,
    "the type is an event, not an object; its position is its cursor",
  ],
  [
    "strict-id-in-types",
    /type "Mention"/,
    "the type is a part of a text, which only its post identifies",
  ],
  [
    "strict-id-in-types",
    /type "(Viewer|RateLimit)"/,
    "each requester has one instance, which the id of the viewer's user identifies",
  ],
  [
    "relay-edge-types",
    /^nodes: \[\w+!\]!/,
    "nodes repeats the nodes of the edges for clients that need no edges",
  ],
  [
    "relay-edge-types",
    /^userErrors: \[UserError!\]!|^path: \[String!\]/,
    "the list describes the errors of one request, which is short and complete",
  ],
  [
    "relay-edge-types",
    /^\): \[(Node|Relationship)\]!|^results: \[FollowManyResult!\]!/,
    "the list has as many items as the client requested ids",
  ],
  ["relay-edge-types", /^\): \[User!\] /, "a path of follows has at most seven users"],
  [
    "relay-edge-types",
    /^\): \[(Suggestion|User)!\]!|^reasons: \[SuggestionReason!\]!/,
    "the list has at most 50 items, and an order in which no cursor could keep its position",
  ],
  ["relay-edge-types", /^ancestors: \[Post!\]!/, "the list is complete with at most 40 posts"],
  ["relay-edge-types", /^mentions: \[Mention!\]!/, "the list is complete with at most 20 items"],
  [
    "relay-edge-types",
    /^removedIds: \[ID!\]!/,
    "the list has what one transaction has withdrawn, and is complete",
  ],
  ["relay-edge-types", /^sessions: \[Session!\]!/, "the list is complete with at most 100 items"],
  [
    "require-description",
    /in directive "(include|skip|specifiedBy)"/,
    "the specification defines the directive",
  ],
];

// The rules for schemas that are in neither preset and do not run, with the reason.
const DISABLED = {
  alphabetize: "a type stands beside the types that use it, and its fields are in reading order",
  "input-name":
    "an input's name says what it contains, as UserBy does, and several mutations share some",
  "no-root-type": "the schema has all three root types",
  "require-deprecation-date": "a deprecated field is removed with a release, not on a date",
  "require-field-of-type-query-in-mutation-result":
    "a payload has everything that the mutation changes",
  "require-nullable-result-in-root":
    "a mutation always returns a payload, with userErrors if it failed",
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
  // The preset leaves out fields, arguments and enum values. Only OperationDefinition is missing
  // here, because a schema has no operations.
  "@graphql-eslint/require-description": [
    "error",
    {
      types: true,
      rootField: true,
      DirectiveDefinition: true,
      EnumValueDefinition: true,
      FieldDefinition: true,
      InputValueDefinition: true,
    },
  ],
};
const nameOf = (rule) => rule.replace("@graphql-eslint/", "");

const eslint = new ESLint({
  overrideConfigFile: true,
  overrideConfig: [
    {
      files: ["**/*.graphql"],
      plugins: { "@graphql-eslint": plugin },
      languageOptions: {
        parser: plugin.parser,
        parserOptions: { graphQLConfig: { schema: file } },
      },
      linterOptions: { noInlineConfig: true },
      rules,
    },
  ],
});
const [{ messages }] = await eslint.lintText(sdl, { filePath: "schema.graphql" });
const lines = sdl.split("\n");
const findings = messages.map(({ ruleId, line, message }) => ({
  rule: ruleId && nameOf(ruleId),
  line,
  text: `${lines[line - 1]?.trim()} ${message}`,
}));

const used = new Set();
const isExcepted = ({ rule, text }) => {
  const matching = EXCEPTIONS.filter(([name, pattern]) => name === rule && pattern.test(text));
  for (const exception of matching) used.add(exception);
  return matching.length > 0;
};
const remaining = findings.filter((finding) => !isExcepted(finding));
const list = (findings) => findings.map(({ line, text }) => `line ${line}: ${text}`);

// A finding without a rule is an error of the parser.
test("graphql-eslint can parse the schema", () => {
  assert.deepEqual(list(remaining.filter(({ rule }) => !rule)), []);
});

describe("rules", () => {
  for (const name of Object.keys(rules).map(nameOf)) {
    test(`the schema follows the rule ${name}`, () => {
      assert.deepEqual(list(remaining.filter(({ rule }) => rule === name)), []);
    });
  }
});

test("every rule for schemas either runs or is disabled with a reason", () => {
  const known = [...Object.keys(rules).map(nameOf), ...Object.keys(DISABLED)];
  const unknown = Object.keys(configs["flat/schema-all"].rules)
    .map(nameOf)
    .filter((name) => !known.includes(name));
  assert.deepEqual(unknown, []);
});

describe("exceptions", () => {
  for (const exception of EXCEPTIONS) {
    const [rule, pattern, reason] = exception;
    test(`the exception to ${rule} has a finding: ${reason}`, () =>
      assert(used.has(exception), String(pattern)));
  }
});

test("the schema is valid", () => assertValidSchema(buildSchema(sdl)));

test("every scalar has @specifiedBy", () => {
  const scalars = parse(sdl).definitions.filter(({ kind }) => kind === "ScalarTypeDefinition");
  const unspecified = scalars.filter(
    ({ directives }) => !directives.some(({ name }) => name.value === "specifiedBy"),
  );
  assert.deepEqual(
    unspecified.map(({ name }) => name.value),
    [],
  );
});
