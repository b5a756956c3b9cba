// The schema as a subgraph of Apollo Federation 2: composed with another subgraph, and then queried
// by a router through a server that runs with --federation.
//
//     export ROOKERY_URL=http://127.0.0.1:8000/graphql SUBGRAPH=subgraph.graphql
//     node --test federation.mjs
//
// SUBGRAPH is a file with the output of `rookery schema --federation`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { composeServices } from "@apollo/composition";
import { getStitchedSchemaFromSupergraphSdl } from "@graphql-tools/federation";
import { buildSchema, execute as executeLocally, parse, print } from "graphql";
import { createPost, deleteAccount, execute, LIMIT, register, request } from "./client.mjs";

assert(process.env.SUBGRAPH, "set SUBGRAPH to the file with the schema of the subgraph");
const sdl = readFileSync(process.env.SUBGRAPH, "utf8");

// The other subgraph. It extends User and Post, and has pages of its own.
const REVIEWS = `
  extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@shareable"])
  type Query { reviews: [Review!]! node(id: ID!): Node nodes(ids: [ID!]!): [Node]! }
  interface Node { id: ID! }
  type Review implements Node { id: ID! text: String! author: User post: Post }
  type User @key(fields: "id") { id: ID! reviews: ReviewConnection! }
  type Post @key(fields: "id") { id: ID! stars: Int! }
  type ReviewConnection { edges: [ReviewEdge!]! pageInfo: PageInfo! }
  type ReviewEdge { cursor: String! node: Review! }
  type PageInfo @shareable {
    hasNextPage: Boolean!
    hasPreviousPage: Boolean!
    startCursor: String
    endCursor: String
  }
`;

const composition = composeServices([
  { name: "rookery", url: "http://rookery", typeDefs: parse(sdl) },
  { name: "reviews", url: "http://reviews", typeDefs: parse(REVIEWS) },
]);
const { supergraphSdl } = composition;

describe("composition", () => {
  test("the subgraph composes with one that extends User and Post and shares PageInfo", () => {
    assert.equal(composition.errors, undefined, composition.errors?.join("; "));
  });

  test("the composition has no hints", () => {
    assert.deepEqual(
      composition.hints?.map(({ message }) => message),
      [],
    );
  });

  for (const name of ["User", "Post"]) {
    test(`either subgraph can resolve ${name} by its id`, () => {
      const isNamed = (definition) => definition.name?.value === name;
      const { directives } = parse(supergraphSdl).definitions.find(isNamed);
      const joins = directives.filter((directive) => directive.name.value === "join__type");
      const args = joins.map((directive) =>
        Object.fromEntries(directive.arguments.map(({ name, value }) => [name.value, value.value])),
      );
      assert.deepEqual(
        args.sort((a, b) => (a.graph < b.graph ? -1 : 1)),
        [
          { graph: "REVIEWS", key: "id" },
          { graph: "ROOKERY", key: "id" },
        ],
      );
    });
  }
});

const [john, susan, deleted] = await Promise.all([register(), register(), register()]);
const one = await createPost(john, "one");
const two = await createPost(susan, "two");
await deleteAccount(deleted);
const userKey = ({ id }) => ({ __typename: "User", id });
const postKey = (id) => ({ __typename: "Post", id });

describe("entities", () => {
  const ENTITIES = `query ($representations: [_Any!]!) {
    _entities(representations: $representations) {
      __typename
      ... on User { id username }
      ... on Post { id body author { id } }
    }
  }`;

  test("_service returns the schema of the subgraph", LIMIT, async () => {
    const { _service } = await execute(null, "{ _service { sdl } }");
    assert.equal(_service.sdl.trim(), sdl.trim());
  });

  test(
    "_entities returns an entity for each representation, in order, and null for a deleted user",
    LIMIT,
    async () => {
      const representations = [
        postKey(two),
        userKey(john),
        userKey(deleted),
        userKey(susan),
        postKey(one),
        userKey(john),
      ];
      const found = ({ id, username }) => ({ __typename: "User", id, username });
      assert.deepEqual((await execute(null, ENTITIES, { representations }))._entities, [
        { ...postKey(two), body: "two", author: { id: susan.id } },
        found(john),
        null,
        found(susan),
        { ...postKey(one), body: "one", author: { id: john.id } },
        found(john),
      ]);
    },
  );

  test("_entities returns an empty list for no representations", LIMIT, async () => {
    assert.deepEqual(await execute(null, ENTITIES, { representations: [] }), { _entities: [] });
  });

  for (const [name, representation] of [
    ["of a type that is no entity", { __typename: "PageInfo", id: john.id }],
    ["of an unknown type", { __typename: "Nope", id: john.id }],
    ["without a type", { id: john.id }],
    ["without a key", { __typename: "User" }],
    ["with a key that is no id", { __typename: "User", id: "?" }],
    ["with the key of another type", { __typename: "Post", id: john.id }],
    ["that is no object", "User"],
  ]) {
    test(
      `_entities returns an error and no entity for a representation ${name}`,
      LIMIT,
      async () => {
        const { data, errors } = await request(null, ENTITIES, {
          representations: [representation],
        });
        assert(errors?.length > 0, JSON.stringify(data));
        assert.equal(data?._entities?.[0] ?? null, null);
      },
    );
  }
});

describe("router", () => {
  // The other subgraph, executed in this process.
  const all = [
    { text: "Good", author: userKey(susan), post: postKey(one) },
    { text: "Bad", author: userKey(deleted), post: postKey(two) },
  ];
  const reviewsOf = ({ id }) => ({
    edges: all
      .filter(({ author }) => author.id === id)
      .map((node, n) => ({ cursor: `${n}`, node })),
    pageInfo: { hasNextPage: false, hasPreviousPage: false },
  });
  const entity = (key) =>
    key.__typename === "User" ? { ...key, reviews: reviewsOf(key) } : { ...key, stars: 5 };
  const schema = buildSchema(
    `${REVIEWS} scalar _Any union _Entity = User | Post
    extend type Query { _entities(representations: [_Any!]!): [_Entity]! }`,
    { assumeValidSDL: true },
  );
  const rootValue = {
    reviews: () =>
      all.map(({ text, author, post }) => ({ text, author: entity(author), post: entity(post) })),
    _entities: ({ representations }) => representations.map(entity),
  };
  const executors = {
    REVIEWS: ({ document, variables }) =>
      executeLocally({ schema, document, rootValue, variableValues: variables }),
    ROOKERY: ({ document, variables }) => request(null, print(document), variables),
  };
  const router =
    supergraphSdl &&
    getStitchedSchemaFromSupergraphSdl({
      supergraphSdl,
      onSubschemaConfig: (config) => (config.executor = executors[config.name]),
    });
  const route = async (query, variableValues) => {
    assert(router, "the subgraphs do not compose");
    const document = parse(query);
    const { data, errors } = await executeLocally({ schema: router, document, variableValues });
    return { data: JSON.parse(JSON.stringify(data)), errors };
  };

  test(
    "a router resolves fields of the other subgraph on users and posts of this one",
    LIMIT,
    async () => {
      const { data, errors } = await route(
        `query ($username: String!) { user(by: {username: $username}) {
      username
      reviews { edges { node { text } } pageInfo { hasNextPage } }
      posts(first: 1) { nodes { body stars } pageInfo { hasNextPage } } } }`,
        { username: susan.username },
      );
      assert.equal(errors, undefined);
      assert.deepEqual(data.user, {
        username: susan.username,
        reviews: { edges: [{ node: { text: "Good" } }], pageInfo: { hasNextPage: false } },
        posts: { nodes: [{ body: "two", stars: 5 }], pageInfo: { hasNextPage: false } },
      });
    },
  );

  test(
    "a router resolves users and posts of this subgraph on the other, and a deleted user is null",
    LIMIT,
    async () => {
      const { data } = await route(
        "{ reviews { text author { username } post { stars body author { followersCount } } } }",
      );
      const post = (body) => ({ stars: 5, body, author: { followersCount: 0 } });
      assert.deepEqual(data.reviews, [
        { text: "Good", author: { username: susan.username }, post: post("one") },
        { text: "Bad", author: null, post: post("two") },
      ]);
    },
  );
});
