// Counts how often the fields of a mutation run.
//
// A field runs once, however often its response key is selected. Fields run in order, and after the
// failure of one that must not be null, no later field runs.
import assert from "node:assert/strict";
import { rootFields } from "./normal-form.mjs";
import { Random, SEED } from "./random.mjs";
import { schema } from "./schema.mjs";
import { data } from "./server.mjs";
import { verdict } from "./verdict.mjs";

const MAX_SHOWN = 5;
const KEYS = ["a", "b", "c", "createPost"];
const SELECTIONS = ["post { id }", "post { body }", "userErrors { code }"];

// A mutation that selects createPost under some keys, some of them several times, and at times a
// field that fails.
function mutationOf(random) {
  const fragments = [];
  const directive = () =>
    random.chance(0.7)
      ? ""
      : random.pick(["@skip(if: true)", "@include(if: $on)", "@skip(if: $on)"]);
  const create = () => {
    const key = random.pick(KEYS);
    const selection = random.pick(SELECTIONS);
    return `${key}: createPost(input: {body: "${key}"}) ${directive()} { ${selection} }`;
  };
  const fail = () => `fail: deletePost(id: "?") ${directive()} { changed }`;
  const select = () => {
    const field = random.chance(0.1) ? fail() : create();
    const inline = `... ${directive()} { ${field} ${create()} }`;
    if (random.chance(0.6)) return random.pick([field, inline, `... on Mutation { ${field} }`]);
    const name = `F${fragments.length}`;
    fragments.push(`fragment ${name} on Mutation { ${field} ${create()} }`);
    return random.pick([`...${name}`, `...${name} ...${name}`, `...${name} ${directive()}`]);
  };
  const selections = Array.from({ length: random.between(2, 6) }, select);
  const body = [`{ ${selections.join(" ")} }`, ...fragments].join(" ");
  const head = body.includes("$on") ? "($on: Boolean!) " : "";
  return { query: `mutation ${head}${body}`, variables: `{"on":${random.chance(0.5)}}` };
}

async function countPosts(send) {
  const { viewer } = await data(send, "{ viewer { user { postsCount } } }");
  return viewer.user.postsCount;
}

// What differs for the mutation, or undefined.
async function difference(send, request) {
  const keys = rootFields(schema, verdict(schema, request));
  const failing = keys.indexOf("fail");
  const before = await countPosts(send);
  const answer = JSON.parse(await send(request)).data ?? null;
  const actual = [(await countPosts(send)) - before, answer && Object.keys(answer)];
  const expected = failing < 0 ? [keys.length, keys] : [failing, null];
  const texts = [actual, expected].map((each) => JSON.stringify(each));
  const label = `${request.query} with ${request.variables}`;
  return texts[0] === texts[1] ? undefined : `${texts[0]}, not ${texts[1]}: ${label}`;
}

// Sends mutations as a user, and fails if one has other effects: the number of new posts and the
// keys of the answer.
export async function checkMutations(send, count) {
  const differences = [];
  for (let n = 0; n < count; n++) {
    differences.push(await difference(send, mutationOf(new Random(SEED, n, 3))));
  }
  const found = differences.filter(Boolean).toSorted((a, b) => a.length - b.length);
  const head = `${found.length} of ${count} mutations differ`;
  assert.equal(found.length, 0, [head, ...found.slice(0, MAX_SHOWN)].join("\n"));
}
