// Mutations of whole operations, and of which of them runs.
import { Kind } from "graphql";
import { field, inlineFragment, name, selectionSet, spread } from "../syntax.mjs";
import { inMutations, inSubscriptions } from "./options.mjs";

const operation = (type, key, selections) => ({
  kind: Kind.OPERATION_DEFINITION,
  operation: type,
  name: key && name(key),
  variableDefinitions: [],
  directives: [],
  selectionSet: selectionSet(selections),
});
const typename = () => [field("__typename")];
const add = (m, ...nodes) => m.insert(m.document.definitions, ...nodes);
const isNamed = (m) => m.sites.operations.every(({ node }) => node.name);
const DEFINITIONS = [
  "type Extra { a: Int }",
  "extend type User { a: Int }",
  "scalar Extra",
  "schema { query: Query }",
  "directive @nope on FIELD",
  "enum Extra { A B }",
  "input Extra { a: Int }",
  "union Extra = User | Post",
  "interface Extra { a: Int }",
  "extend schema @nope",
];

export const OPERATION_KINDS = {
  "two anonymous operations": (m) => {
    if (isNamed(m)) return false;
    return add(m, { ...operation("query", null, typename()), isShort: m.random.chance(0.5) });
  },

  "anonymous beside a named operation": (m) =>
    isNamed(m) && add(m, operation("query", null, typename())),

  "duplicate operation name": (m) => {
    if (!isNamed(m)) return false;
    const { node } = m.pick("operations");
    const type = m.random.pick(["query", "mutation"]);
    return add(m, operation(type, node.name.value, typename()));
  },

  "unknown operationName": (m) => {
    const given = m.random.pick(["Nope", "", " ", "on", "__typename", "a-b", "é"]);
    m.draft.operationName = given;
    return true;
  },

  "no operationName for several operations": (m) => {
    if (!isNamed(m)) return false;
    m.draft.operationName = m.random.pick([null, undefined]);
    return add(m, operation("query", "Extra", typename()));
  },

  "operationName of a fragment": (m) => {
    const site = m.pick("fragments");
    if (site) m.draft.operationName = site.node.name.value;
    return site;
  },

  "error in an operation that does not run": (m) => {
    if (!isNamed(m)) return false;
    m.draft.operationName = m.pick("operations").node.name.value;
    const wrong = [
      field("nope"),
      spread("Nope"),
      field("viewer"),
      field("node", { selections: typename() }),
    ];
    return add(m, operation("query", "Extra", [m.random.pick(wrong)]));
  },

  "another type of operation": (m) => {
    const { operation } = m;
    const types = ["query", "mutation", "subscription"];
    operation.operation = m.random.pick(types.filter((each) => each !== operation.operation));
    operation.isShort = false;
    return true;
  },

  "subscription with two root fields": inSubscriptions((m) => {
    const { operation } = m;
    const type = m.schema.getSubscriptionType();
    const def = m.random.pick(Object.values(type.getFields()));
    return m.insert(operation.selectionSet.selections, m.field(type, def));
  }),

  "subscription with two keys of one field": inSubscriptions((m) => {
    const { selections } = m.operation.selectionSet;
    const first = selections.find((each) => each.kind === Kind.FIELD);
    return first && m.insert(selections, { ...structuredClone(first), alias: name("again") });
  }),

  "subscription with two root fields in fragments": inSubscriptions((m) => {
    const { operation } = m;
    const type = m.schema.getSubscriptionType();
    const def = m.random.pick(Object.values(type.getFields()));
    const condition = m.random.pick([undefined, type.name]);
    return m.insert(
      operation.selectionSet.selections,
      inlineFragment(condition, [m.field(type, def)]),
    );
  }),

  "subscription with an introspection field": inSubscriptions((m) => {
    const { selections } = m.operation.selectionSet;
    const nodes = [field("__typename"), field("__typename", { alias: "a" })];
    if (m.random.chance(0.5)) selections.length = 0;
    return m.insert(selections, m.random.pick(nodes));
  }),

  "mutation with one field twice": inMutations((m) => {
    const site = m.pick("fields", ({ type }) => type === m.schema.getMutationType());
    return site && m.insert(site.parent, structuredClone(site.node));
  }),

  "type system definition": (m) => {
    const { random } = m;
    const text = random.pick(DEFINITIONS).split(" ");
    // Definitions stand between the tokens of two others, so at the end or at the start.
    return m.splice(random.chance(0.5) ? 0 : m.tokens.length, 0, ...text);
  },

  "only a fragment": (m) => {
    const { definitions } = m.document;
    const fragments = definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION);
    m.document.definitions.splice(0, definitions.length, ...fragments);
    return fragments.length;
  },
};
