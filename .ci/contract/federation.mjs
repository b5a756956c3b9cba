// The schema as a subgraph of Apollo Federation 2: composed with another subgraph, and then, with an address of a
// server with --federation, asked as a router asks.
//
//     node federation.mjs subgraph.graphql [http://127.0.0.1:8000/graphql]
//
// The file is what `rookery schema --federation` prints.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { composeServices } from "@apollo/composition";
import { getStitchedSchemaFromSupergraphSdl } from "@graphql-tools/federation";
import { buildSchema, execute, parse, print } from "graphql";
import { ask, PASSWORD, register, request, write } from "./ask.mjs";
import { check } from "./checks.mjs";

const [file, url] = process.argv.slice(2);
if (!file) {
  console.error("usage: node federation.mjs subgraph.graphql [http://127.0.0.1:8000/graphql]");
  process.exit(2);
}
const sdl = readFileSync(file, "utf8");

// Somebody else's subgraph: it adds to users and posts, and has pages of its own.
const REVIEWS = `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@shareable"])
  type Query { reviews: [Review!]! node(id: ID!): Node nodes(ids: [ID!]!): [Node]! }
  interface Node { id: ID! }
  type Review implements Node { id: ID! text: String! author: User post: Post }
  type User @key(fields: "id") { id: ID! reviews: ReviewConnection! }
  type Post @key(fields: "id") { id: ID! stars: Int! }
  type ReviewConnection { edges: [ReviewEdge!]! pageInfo: PageInfo! }
  type ReviewEdge { cursor: String! node: Review! }
  type PageInfo @shareable { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
`;

const composed = composeServices([
  { name: "rookery", url: "http://rookery", typeDefs: parse(sdl) },
  { name: "reviews", url: "http://reviews", typeDefs: parse(REVIEWS) },
]);
const { supergraphSdl } = composed;
await check("it composes with a subgraph that adds to User and Post and has pages too", () => {
  assert.equal(composed.errors, undefined, composed.errors?.join("; "));
});
await check("there is nothing to improve about it", () => {
  assert.deepEqual(composed.hints?.map(({ message }) => message), []);
});
for (const name of ["User", "Post"]) {
  await check(`${name} can be entered by its id from either subgraph`, () => {
    const { directives } = parse(supergraphSdl).definitions.find((definition) => definition.name?.value === name);
    const joined = directives.filter((directive) => directive.name.value === "join__type").map((directive) =>
      Object.fromEntries(directive.arguments.map((argument) => [argument.name.value, argument.value.value])));
    assert.deepEqual(joined.sort((a, b) => (a.graph < b.graph ? -1 : 1)),
      [{ graph: "REVIEWS", key: "id" }, { graph: "ROOKERY", key: "id" }]);
  });
}

if (url) {
  const [john, susan] = await Promise.all([register(url), register(url)]);
  const [one, two] = [await write(url, john, "one"), await write(url, susan, "two")];
  const user = ({ id }) => ({ __typename: "User", id });
  const post = (id) => ({ __typename: "Post", id });
  const gone = await register(url);
  await ask(url, gone.token, `mutation { deleteAccount(input: {password: "${PASSWORD}"}) { changed } }`);

  await check("_service tells the subgraph", async () => {
    assert.equal((await ask(url, null, "{ _service { sdl } }"))._service.sdl.trim(), sdl.trim());
  });
  const ENTITIES = `query ($representations: [_Any!]!) { _entities(representations: $representations) {
    __typename ... on User { id username } ... on Post { id body author { id } } } }`;
  await check("_entities: users and posts, in their order, each as often as asked, null for who is gone", async () => {
    const representations = [post(two), user(john), user(gone), user(susan), post(one), user(john)];
    const found = (user) => ({ __typename: "User", id: user.id, username: user.username });
    assert.deepEqual((await ask(url, null, ENTITIES, { representations }))._entities, [
      { ...post(two), body: "two", author: { id: susan.id } },
      found(john),
      null,
      found(susan),
      { ...post(one), body: "one", author: { id: john.id } },
      found(john),
    ]);
  });
  await check("_entities: none for none", async () => {
    assert.deepEqual(await ask(url, null, ENTITIES, { representations: [] }), { _entities: [] });
  });
  for (const [name, representation] of [
    ["a type that is no entity", { __typename: "PageInfo", id: john.id }],
    ["a type that is unknown", { __typename: "Nope", id: john.id }],
    ["no type", { id: john.id }],
    ["no key", { __typename: "User" }],
    ["a key that is no id", { __typename: "User", id: "?" }],
    ["the key of another type", { __typename: "Post", id: john.id }],
    ["no object", "User"],
  ]) {
    await check(`_entities: ${name} is an error, and never an entity`, async () => {
      const { data, errors } = await request(url, null, ENTITIES, { representations: [representation] });
      assert(errors?.length > 0, JSON.stringify(data));
      assert.equal(data?._entities?.[0] ?? null, null);
    });
  }

  // The other subgraph, for a router to ask.
  const all = [
    { text: "Good", author: user(susan), post: post(one) },
    { text: "Bad", author: user(gone), post: post(two) },
  ];
  const reviewsOf = ({ id }) => ({
    edges: all.filter(({ author }) => author.id === id).map((node, n) => ({ cursor: `${n}`, node })),
    pageInfo: { hasNextPage: false, hasPreviousPage: false },
  });
  const entity = (key) => (key.__typename === "User" ? { ...key, reviews: reviewsOf(key) } : { ...key, stars: 5 });
  const reviews = buildSchema(`${REVIEWS} scalar _Any union _Entity = User | Post
    extend type Query { _entities(representations: [_Any!]!): [_Entity]! }`, { assumeValidSDL: true });
  const rootValue = {
    reviews: () => all.map(({ text, author, post }) => ({ text, author: entity(author), post: entity(post) })),
    _entities: ({ representations }) => representations.map(entity),
  };
  const executors = {
    REVIEWS: ({ document, variables }) => execute({ schema: reviews, document, rootValue, variableValues: variables }),
    ROOKERY: ({ document, variables }) => request(url, null, print(document), variables),
  };
  const router = supergraphSdl && getStitchedSchemaFromSupergraphSdl({
    supergraphSdl,
    onSubschemaConfig: (config) => (config.executor = executors[config.name]),
  });
  const route = async (query, variableValues) => {
    assert(router, "nothing is composed");
    const { data, errors } = await execute({ schema: router, document: parse(query), variableValues });
    return { data: JSON.parse(JSON.stringify(data)), errors };
  };
  await check("a router goes from here to there", async () => {
    const { data, errors } = await route(`query ($username: String!) { user(by: {username: $username}) {
      username
      reviews { edges { node { text } } pageInfo { hasNextPage } }
      posts(first: 1) { nodes { body stars } pageInfo { hasNextPage } } } }`, { username: susan.username });
    assert.equal(errors, undefined);
    assert.deepEqual(data.user, {
      username: susan.username,
      reviews: { edges: [{ node: { text: "Good" } }], pageInfo: { hasNextPage: false } },
      posts: { nodes: [{ body: "two", stars: 5 }], pageInfo: { hasNextPage: false } },
    });
  });
  await check("a router goes from there to here, and who is gone is null", async () => {
    const { data } = await route("{ reviews { text author { username } post { stars body author { followersCount } } } }");
    assert.deepEqual(data.reviews, [
      { text: "Good", author: { username: susan.username }, post: { stars: 5, body: "one", author: { followersCount: 0 } } },
      { text: "Bad", author: null, post: { stars: 5, body: "two", author: { followersCount: 0 } } },
    ]);
  });
}
