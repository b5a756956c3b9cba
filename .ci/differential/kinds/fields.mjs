// Mutations of fields and their arguments.
import {
  getNamedType,
  isAbstractType,
  isCompositeType,
  isLeafType,
  isObjectType,
  isRequiredArgument,
  isUnionType,
} from "graphql";
import {
  argument,
  booleanValue,
  directive,
  field,
  inlineFragment,
  intValue,
  name,
  nullValue,
  rawString,
  selectionSet,
  stringValue,
} from "../syntax.mjs";
import { inSubscriptions } from "./options.mjs";

const fieldsOf = (type) => Object.values(type.getFields());
const isComposite = ({ type }) => isCompositeType(getNamedType(type));
const isTypename = ({ node }) => node.name.value === "__typename";
const objectTypes = (m) => Object.values(m.schema.getTypeMap()).filter(isObjectType);

// A copy of a field with arguments, with another value for one of them, or without the last one.
function otherArguments({ random }, node) {
  const copy = structuredClone(node);
  if (random.chance(0.3)) {
    copy.arguments.pop();
    return copy;
  }
  const other = random.pick(copy.arguments);
  const values = [intValue(97), stringValue("other"), booleanValue(true), nullValue];
  if (other.value.fields) {
    for (const each of other.value.fields) each.value = stringValue("other");
  } else other.value = random.pick(values);
  return copy;
}

// Two types of objects that an abstract type can be, with a leaf field of each under one key.
function twoLeaves(m, { type }, differ) {
  const [first, second] = m.random.shuffle(m.schema.getPossibleTypes(type));
  if (!second) return null;
  const leaves = (each) => fieldsOf(each).filter((one) => isLeafType(getNamedType(one.type)));
  const pairs = leaves(first).flatMap((one) => leaves(second).map((two) => [one, two]));
  const found = pairs.filter(([one, two]) => differ(String(one.type), String(two.type)));
  if (!found.length) return null;
  const [one, two] = m.random.pick(found);
  const aliased = (each, def) => ({ ...m.field(each, def), alias: name("same") });
  return [
    inlineFragment(first.name, [aliased(first, one)]),
    inlineFragment(second.name, [aliased(second, two)]),
  ];
}

// A selection on an abstract type. Few documents have one, so the field `node` may be added.
function abstractSet(m) {
  const set = m.pick("sets", ({ type }) => isAbstractType(type));
  if (set) return set;
  const root = m.pick("sets", ({ type }) => type === m.schema.getQueryType());
  if (!root) return undefined;
  const args = [argument("id", stringValue("?"))];
  const selections = [field("__typename")];
  const added = field("node", { alias: "abstract", args, selections });
  m.insert(root.node.selections, added);
  return { node: added.selectionSet, type: m.schema.getType("Node") };
}

export const FIELD_KINDS = {
  "unknown field": (m) => {
    const { node } = m.pick("sets");
    const unknown = m.random.pick(["nope", "_", "Id", "__typenam", "__type_name", "id_"]);
    return m.insert(node.selections, field(unknown));
  },

  "field of another type": (m) => {
    const { node } = m.pick("sets");
    const other = m.random.pick(objectTypes(m));
    return m.insert(node.selections, m.field(other, m.random.pick(fieldsOf(other))));
  },

  "field on a union": inSubscriptions((m) => {
    const set = m.pick("sets", ({ type }) => isUnionType(type));
    if (!set) return false;
    const def = m.random.pick(fieldsOf(m.random.pick(set.type.getTypes())));
    return m.insert(set.node.selections, field(def.name));
  }),

  "leaf with a selection": (m) => {
    const site = m.pick("fields", ({ def, node }) => !isComposite(def) && !isTypename({ node }));
    if (!site) return false;
    const inner = m.random.pick(["__typename", "id", "length"]);
    site.node.selectionSet = selectionSet(m.random.chance(0.2) ? [] : [field(inner)]);
    return true;
  },

  "object without a selection": (m) => {
    const site = m.pick("fields", ({ def }) => isComposite(def));
    if (!site) return false;
    delete site.node.selectionSet;
    return true;
  },

  "empty selection": (m) => {
    const { node } = m.pick("sets");
    node.selections = [];
    return true;
  },

  "__typename with arguments": (m) => {
    const site = m.pick("fields", isTypename);
    site?.node.arguments.push(argument(m.random.pick(["if", "name", "a"]), booleanValue(true)));
    return site;
  },

  "__typename with a selection": (m) => {
    const site = m.pick("fields", isTypename);
    if (site) site.node.selectionSet = selectionSet([field("__typename")]);
    return site;
  },

  "__typename with a directive": (m) => {
    const site = m.pick("fields", isTypename);
    const [known, unknown] = [
      directive("skip", [argument("if", booleanValue(false))]),
      directive("nope"),
    ];
    site?.node.directives.push(m.random.pick([known, unknown]));
    return site;
  },

  "introspection below the root": (m) => {
    const set = m.pick("sets", ({ type }) => type !== m.schema.getQueryType());
    if (!set) return false;
    const args = [argument("name", stringValue("User"))];
    const selections = [field("__typename")];
    const nodes = [field("__schema", { selections }), field("__type", { args, selections })];
    return m.insert(set.node.selections, m.random.pick(nodes));
  },

  "one key, two fields": (m) => {
    const { node, type } = m.pick("sets");
    if (isUnionType(type)) return false;
    const [one, two] = m.random.shuffle(fieldsOf(type));
    if (!two) return false;
    const first = m.field(type, one);
    const second = { ...m.field(type, two), alias: name(first.alias?.value ?? one.name) };
    const other = m.random.pick([
      second,
      inlineFragment(m.random.pick([undefined, type.name]), [second]),
    ]);
    return m.insert(node.selections, first, other);
  },

  "one key, two fields, one of them skipped": (m) => {
    const { node, type } = m.pick("sets");
    if (isUnionType(type)) return false;
    const [one, two] = m.random.shuffle(fieldsOf(type));
    if (!two) return false;
    const skipped = m.field(type, one);
    skipped.directives = [directive("skip", [argument("if", booleanValue(true))])];
    const key = skipped.alias?.value ?? one.name;
    return m.insert(node.selections, skipped, { ...m.field(type, two), alias: name(key) });
  },

  "one key, __typename and another field": (m) => {
    const { node, type } = m.pick("sets");
    if (isUnionType(type)) return false;
    const def = m.random.pick(fieldsOf(type).filter(({ type }) => isLeafType(getNamedType(type))));
    if (!def) return false;
    const other = { ...m.field(type, def), alias: name("same") };
    return m.insert(node.selections, field("__typename", { alias: "same" }), other);
  },

  "one key, two lists of arguments": (m) => {
    const site = m.pick("fields", ({ node }) => node.arguments.length > 0);
    if (!site) return false;
    const copy = otherArguments(m, site.node);
    const inner = m.random.pick([copy, inlineFragment(site.type.name, [copy])]);
    return m.insert(site.parent, inner);
  },

  "one key, two lists of arguments, in two copies of a field": (m) => {
    const site = m.pick("fields", ({ node }) =>
      node.selectionSet?.selections.some((each) => each.kind === "Field" && each.arguments.length),
    );
    if (!site) return false;
    const { selections } = site.node.selectionSet;
    const inner = m.random.pick(
      selections.filter((each) => each.kind === "Field" && each.arguments.length),
    );
    const changed = otherArguments(m, inner);
    return m.insert(site.parent, { ...site.node, selectionSet: selectionSet([changed]) });
  },

  "one key, two fields, in two copies of a field": (m) => {
    const site = m.pick(
      "fields",
      ({ node, def }) => node.selectionSet && !isUnionType(getNamedType(def.type)),
    );
    if (!site) return false;
    const type = getNamedType(site.def.type);
    const [one, two] = m.random.shuffle(fieldsOf(type));
    if (!two) return false;
    const [first, second] = [m.field(type, one), m.field(type, two)];
    first.alias = second.alias = name("same");
    const copies = [first, second].map((each) => ({
      ...site.node,
      selectionSet: selectionSet([each]),
    }));
    return m.insert(site.parent, ...copies);
  },

  "one key, two types of fields of different objects": (m) => {
    const set = abstractSet(m);
    const nodes = set && twoLeaves(m, set, (one, two) => one !== two);
    return nodes && m.insert(set.node.selections, ...nodes);
  },

  "one key, String and String!, of different objects": (m) => {
    const set = abstractSet(m);
    const nodes = set && twoLeaves(m, set, (one, two) => one === `${two}!` || two === `${one}!`);
    return nodes && m.insert(set.node.selections, ...nodes);
  },

  "one key, two fields of equal types of different objects": (m) => {
    const set = abstractSet(m);
    const nodes = set && twoLeaves(m, set, (one, two) => one === two);
    return nodes && m.insert(set.node.selections, ...nodes);
  },

  "one key, equal fields with arguments in another order": (m) => {
    const site = m.pick("fields", ({ node }) => node.arguments.length > 0);
    if (!site) return false;
    const copy = structuredClone(site.node);
    copy.arguments.reverse();
    for (const { value } of copy.arguments) value.fields?.reverse();
    return m.insert(site.parent, copy);
  },

  "one key, equal strings with and without escapes": (m) => {
    const site = m.pick(
      "fields",
      ({ node, def }) =>
        def.args.some((each) => ["String", "ID", "ID!"].includes(String(each.type))) &&
        node.name.value !== "__type",
    );
    if (!site) return false;
    const { name: key } = m.random.pick(
      site.def.args.filter((each) => ["String", "ID", "ID!"].includes(String(each.type))),
    );
    const others = site.node.arguments.filter((each) => each.name.value !== key);
    const copies = [...m.random.shuffle(['"AA"', '"\\u0041A"', '"A\\u{41}"', '"AB"'])].slice(0, 2);
    const copy = (raw) => ({
      ...structuredClone(site.node),
      alias: name("same"),
      arguments: [...structuredClone(others), argument(key, rawString(raw))],
    });
    return m.insert(site.parent, ...copies.map(copy));
  },

  "unknown argument": (m) => {
    const { node } = m.pick("fields");
    const key = m.random.pick(["nope", "First", "if", "input_", "__typename"]);
    return m.insert(node.arguments, argument(key, m.random.pick([intValue(1), nullValue])));
  },

  "missing required argument": (m) => {
    const site = m.pick(
      "arguments",
      ({ owner, def }) => owner.kind === "Field" && isRequiredArgument(def),
    );
    return site && site.owner.arguments.splice(site.key, 1);
  },

  "duplicate argument": (m) => {
    const site = m.pick("arguments");
    if (!site) return false;
    const copy = structuredClone(site.node);
    if (m.random.chance(0.4))
      copy.value = m.random.pick([nullValue, intValue(2), stringValue("a")]);
    return m.insert(site.parent, copy);
  },
};
