// Introspection: the queries of real tools are answered, and show the schema of schema.graphql.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql node --test introspection.mjs
//
// The right answer is that of graphql-js with schema.graphql.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  buildClientSchema,
  executeSync,
  getIntrospectionQuery,
  isIntrospectionType,
  isSpecifiedScalarType,
  lexicographicSortSchema,
  parse,
  print,
  printSchema,
} from "graphql";
import { EXPERIMENTAL } from "./selections.mjs";
import { schema } from "./schema.mjs";
import { data, httpServer, url } from "./server.mjs";

assert(url, "set ROOKERY_URL to the address of /graphql");

const MAX_SHOWN = 10;

// Differences that are meant to be: the path, and the reason.
//
//     { path: /^\/description$/, reason: "..." }
const KNOWN = [
  {
    path: /^\/description$/,
    reason: "async-graphql describes the type __Schema, and not the schema, which has no description",
  },
  {
    path: /^\/types\/\w+\/interfaces$/,
    reason: "async-graphql has null for interfaces that implement none; clients read it as []",
  },
  {
    path: /^\/\d+\/\d+\/description\/type\//,
    reason: "the description of async-graphql's __Schema is never null",
  },
];

const send = httpServer();
// Through JSON, as the answer of the server.
const right = (query) =>
  JSON.parse(JSON.stringify(executeSync({ schema, document: parse(query) }).data));

const OPTIONS = [
  "descriptions",
  "specifiedByUrl",
  "directiveIsRepeatable",
  "schemaDescription",
  "inputValueDeprecation",
  "oneOf",
];
// All combinations of the options, each from false to true.
const combinations = OPTIONS.reduce(
  (list, option) => list.flatMap((each) => [false, true].map((on) => ({ ...each, [option]: on }))),
  [{}],
);
const ALL_OPTIONS = combinations.at(-1);

const typeRef = (levels) => `kind name ${levels ? `ofType { ${typeRef(levels - 1)} }` : ""}`;

// The full introspection as tools other than graphql-js write it.
const full = ({
  operation = "IntrospectionQuery",
  schemaFields = "",
  typeFields = "",
  args = "",
  inputFields = "",
  inputValue = "",
  directive = "",
  levels = 7,
  kind = "",
}) => `
  query ${operation} {
    __schema {
      ${schemaFields}
      queryType { name ${kind} }
      mutationType { name ${kind} }
      subscriptionType { name ${kind} }
      types { ...FullType }
      directives { name description locations args${args} { ...InputValue } ${directive} }
    }
  }
  fragment FullType on __Type {
    kind
    name
    description
    ${typeFields}
    fields(includeDeprecated: true) {
      name
      description
      args${args} { ...InputValue }
      type { ...TypeRef }
      isDeprecated
      deprecationReason
    }
    inputFields${inputFields} { ...InputValue }
    interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...TypeRef }
  }
  fragment InputValue on __InputValue {
    name description type { ...TypeRef } defaultValue ${inputValue}
  }
  fragment TypeRef on __Type { ${typeRef(levels)} }`;
const DEPRECATED = "(includeDeprecated: true)";

// Queries for the whole schema. GraphiQL, Altair, Insomnia and Voyager send those of graphql-js,
// and so do Relay's and most other generators.
const FULL_QUERIES = {
  GraphiQL: getIntrospectionQuery({ schemaDescription: true, inputValueDeprecation: true }),
  "GraphiQL, without subscriptions": getIntrospectionQuery({
    schemaDescription: true,
    inputValueDeprecation: true,
  }).replace("subscriptionType { name kind }", ""),
  "graphql-codegen": print(parse(getIntrospectionQuery())),
  "Apollo Kotlin, first edition": full({}),
  "Apollo Kotlin": full({
    schemaFields: "description",
    typeFields: "specifiedByURL isOneOf",
    args: DEPRECATED,
    inputFields: DEPRECATED,
    inputValue: "isDeprecated deprecationReason",
    directive: "isRepeatable",
  }),
  "Apollo iOS": getIntrospectionQuery({ inputValueDeprecation: true, specifiedByUrl: true }),
  Rover: full({ operation: "GraphIntrospectQuery" }),
  "Python's gql": full({ schemaFields: "description", kind: "kind", levels: 9, args: DEPRECATED }),
  "Rust's cynic": full({ levels: 4, directive: "isRepeatable", typeFields: "specifiedByURL" }),
};

// Queries by which tools find out what the server supports.
const aliased = (names, selection) =>
  `{ ${names.map((name, n) => `t${n}: __type(name: "${name}") ${selection}`).join(" ")} }`;
const META_TYPES = ["__Schema", "__Type", "__Directive", "__Field", "__InputValue"];
const PROBES = {
  "Apollo Kotlin": `query PreIntrospectionQuery ${aliased(META_TYPES, "{ ...Fields }")}
    fragment Fields on __Type { fields { name args { name } } }`,
  "gql.tada": aliased(META_TYPES.slice(1), "{ fields { name args { name } } }"),
  "Strawberry Shake": aliased(["__Schema", "__Directive"], "{ name fields { name } }"),
  "the types of the fields": aliased(
    META_TYPES,
    "{ name fields { name type { kind ofType { kind ofType { kind ofType { kind } } } } } }",
  ),
};

// The parts of an answer that are the schema's own, in an order that does not depend on the server.
// Each library has its own words for the descriptions of the introspection types, the built-in
// scalars and the built-in directives.
const byName = (list) => list && list.toSorted((a, b) => (a.name < b.name ? -1 : 1));
const own = Object.values(schema.getTypeMap())
  .filter((type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type))
  .map(({ name }) => name);
const written = schema
  .getDirectives()
  .filter(({ astNode }) => astNode)
  .map(({ name }) => name);
function comparable({ __schema: { types, directives, ...rest } }) {
  return {
    ...rest,
    types: byName(types.filter(({ name }) => own.includes(name))).map((type) => ({
      ...type,
      interfaces: byName(type.interfaces),
      possibleTypes: byName(type.possibleTypes),
    })),
    directives: byName(directives.filter(({ name }) => written.includes(name))).map((each) => ({
      ...each,
      description: undefined,
      args: each.args.map((arg) => ({ ...arg, description: undefined })),
      locations: each.locations.toSorted(),
    })),
  };
}

// Where two answers differ, one line for each place.
function differences(actual, expected, path = "") {
  const isObject = (value) => typeof value === "object" && value !== null;
  if (!isObject(actual) || !isObject(expected)) {
    const isEqual = Object.is(actual, expected);
    return isEqual ? [] : [`${path}: ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`];
  }
  const keys = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  return [...keys].flatMap((key) => {
    const name = (expected[key] ?? actual[key])?.name ?? key;
    return differences(actual[key], expected[key], `${path}/${name}`);
  });
}

function assertEqual(actual, expected) {
  const isKnown = (line) => KNOWN.some(({ path }) => path.test(line.split(": ")[0]));
  const found = differences(actual, expected).filter((line) => !isKnown(line));
  assert(
    found.length === 0,
    [`${found.length} differences`, ...found.slice(0, MAX_SHOWN)].join("\n"),
  );
}

const printed = ({ __schema }) =>
  printSchema(
    lexicographicSortSchema(buildClientSchema({ __schema: { ...__schema, description: null } })),
  );

async function checkFull(query) {
  const [actual, expected] = [await data(send, query), right(query)];
  assertEqual(comparable(actual), comparable(expected));
  return [actual, expected];
}

describe("the query of graphql-js", () => {
  for (const options of combinations) {
    const chosen = OPTIONS.filter((option) => options[option]);
    test(chosen.join(", ") || "no options", async () => {
      const [actual, expected] = await checkFull(getIntrospectionQuery(options));
      assert.equal(printed(actual), printed(expected));
    });
  }

  test("the schema that is built from the answer is schema.graphql", async () => {
    const actual = await data(send, getIntrospectionQuery(ALL_OPTIONS));
    assert.equal(printed(actual), printSchema(lexicographicSortSchema(schema)));
  });
});

describe("queries of other tools", () => {
  for (const [tool, query] of Object.entries(FULL_QUERIES)) {
    test(tool, () => checkFull(query));
  }
});

describe("queries for what the server supports", () => {
  const isStandard = (type) => (field) => !EXPERIMENTAL.includes(`${type}.${field.name}`);
  // An experimental argument of graphql-js.
  const withoutArgs = (type, field) =>
    `${type}.${field.name}` === "__Schema.directives" && field.args
      ? { ...field, args: [] }
      : field;

  for (const [tool, query] of Object.entries(PROBES)) {
    test(tool, async () => {
      const simple = (answer) =>
        Object.entries(answer).map(([key, { fields }], n) => {
          const [, type] = [...query.matchAll(/name: "(\w+)"/g)][n];
          const standard = fields.filter(isStandard(type)).map((field) => withoutArgs(type, field));
          return [key, byName(standard)];
        });
      assertEqual(simple(await data(send, query)), simple(right(query)));
    });
  }
});
