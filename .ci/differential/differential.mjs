// Compares the server with graphql-js, the reference implementation, on generated requests.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql node --test differential.mjs
//
// The server has --demo data and no rate limits. Without ROOKERY_URL, only the suite itself is
// tested, against a mock. SEED changes all requests, and DOCUMENTS their number.
//
//   * verdict: for each document, values of variables and operation name, the server accepts what
//     graphql-js accepts, and refuses what graphql-js refuses.
//   * answer: that of a valid query is that of its normal form, with the keys in the order of the
//     specification.
//   * effects: a mutation runs one field for each response key.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compareAnswers } from "./answers.mjs";
import { checkMutations } from "./effects.mjs";
import { mockServer } from "./mock.mjs";
import { SEED } from "./random.mjs";
import { assertNone, printTable } from "./report.mjs";
import { schema } from "./schema.mjs";
import { data, httpServer, url } from "./server.mjs";
import { DEFAULT_POOL } from "./values.mjs";
import { broken, compareVerdicts, countRules, kinds, valid } from "./verdicts.mjs";

const DOCUMENTS = Number(process.env.DOCUMENTS ?? 5000);
const ANSWERS = Math.ceil(DOCUMENTS / 5);
const MUTATIONS = Math.ceil(DOCUMENTS / 100);
const FOR_MOCK = Math.ceil(DOCUMENTS / 10);
const PASSWORD = "correct horse battery";

console.log(`SEED=${SEED} DOCUMENTS=${DOCUMENTS}, ${kinds.length} kinds of broken documents`);

async function login() {
  const query = `mutation { login(input: {username: "john", password: "${PASSWORD}"}) { token } }`;
  return httpServer((await data(httpServer(), query)).login.token);
}

// Ids and names that exist.
async function poolOf(send) {
  const query = `{
    viewer { sessions { id } user { id } }
    users(first: 4) { nodes { id username viewerRelationship { id } } }
    posts(first: 4) { nodes { id } }
  }`;
  const { viewer, users, posts } = await data(send, query);
  const relationships = users.nodes.flatMap(({ viewerRelationship }) => viewerRelationship ?? []);
  const [session] = viewer.sessions;
  const objects = [session, viewer.user, ...users.nodes, ...posts.nodes, ...relationships];
  const usernames = users.nodes.map(({ username }) => username);
  return { ...DEFAULT_POOL, ids: objects.map(({ id }) => id), usernames };
}

describe("the suite itself, against graphql-js as the server", () => {
  const send = mockServer(schema);

  test("valid documents: same verdict", async () => {
    assertNone(await compareVerdicts(send, valid(FOR_MOCK)));
  });

  test("broken documents: same verdict", async () => {
    assertNone(await compareVerdicts(send, broken(FOR_MOCK)));
  });

  test("answers of valid queries equal those of their normal forms", async () => {
    assertNone(await compareAnswers(send, FOR_MOCK));
  });

  test("a mutation runs one field for each response key, in order", () =>
    checkMutations(send, MUTATIONS));

  test("each rule of the specification refuses a broken document", () => {
    const rows = countRules(broken(Math.max(FOR_MOCK, kinds.length)));
    printTable(["rule", "refused", "refused by no other rule"], rows);
    const unused = rows.filter(([, refused]) => refused === 0);
    assert.deepEqual(unused, []);
  });
});

if (url) {
  test("valid documents: same verdict", async () => {
    assertNone(await compareVerdicts(httpServer(), valid(DOCUMENTS)));
  });

  test("broken documents: same verdict", async () => {
    assertNone(await compareVerdicts(httpServer(), broken(DOCUMENTS)));
  });

  test("answers of valid queries equal those of their normal forms", async () => {
    const send = await login();
    assertNone(await compareAnswers(send, ANSWERS, await poolOf(send)));
  });

  test("a mutation runs one field for each response key, in order", async () => {
    await checkMutations(await login(), MUTATIONS);
  });
}
