// Mutations of fragments and directives.
import { isCompositeType, Kind } from "graphql";
import {
  argument,
  booleanValue,
  directive,
  field,
  inlineFragment,
  intValue,
  name,
  namedType,
  nullValue,
  rawValue,
  selectionSet,
  spread,
  stringValue,
} from "../syntax.mjs";

const definition = (key, type, selections) => ({
  kind: Kind.FRAGMENT_DEFINITION,
  name: name(key),
  typeCondition: type && namedType(type),
  directives: [],
  selectionSet: selectionSet(selections),
});
const ifTrue = () => [argument("if", booleanValue(true))];
// Nodes at which @skip and @include may stand.
const selections = (m) => [...m.sites.fields, ...m.sites.inlines, ...m.sites.spreads];
const isComposite = (type) => isCompositeType(type) && !type.name.startsWith("__");
const composites = (m) => Object.values(m.schema.getTypeMap()).filter(isComposite);
const WRONG_TYPES = ["String", "Int", "ID", "DateTime", "UserBy", "FollowState", "CreatePostInput"];

export const FRAGMENT_KINDS = {
  "unknown type condition": (m) => {
    const { node } = m.pick("sets");
    const type = m.random.pick(["Nope", "user", "USER", "__User"]);
    return m.insert(node.selections, inlineFragment(type, [field("__typename")]));
  },

  "unknown type condition of a fragment": (m) => {
    const { node } = m.pick("sets");
    m.insert(m.document.definitions, definition("Extra", "Nope", [field("id")]));
    return m.insert(node.selections, spread("Extra"));
  },

  "type condition on a type without fields": (m) => {
    const { node } = m.pick("sets");
    const type = m.random.pick(WRONG_TYPES);
    return m.insert(node.selections, inlineFragment(type, [field("__typename")]));
  },

  "fragment on a type without fields": (m) => {
    const { node } = m.pick("sets");
    const type = m.random.pick(WRONG_TYPES);
    m.insert(m.document.definitions, definition("Extra", type, [field("__typename")]));
    return m.random.chance(0.3) || m.insert(node.selections, spread("Extra"));
  },

  "inline fragment on any type": (m) => {
    const { node } = m.pick("sets");
    const type = m.random.pick(composites(m));
    return m.insert(node.selections, inlineFragment(type.name, [field("__typename")]));
  },

  "spread of a fragment on any type": (m) => {
    const { node } = m.pick("sets");
    const type = m.random.pick(composites(m));
    m.insert(m.document.definitions, definition("Extra", type.name, [m.selection(type)]));
    return m.insert(node.selections, spread("Extra"));
  },

  "inline fragments inside each other": (m) => {
    const { node } = m.pick("sets");
    const [outer, inner] = [m.random.pick(composites(m)), m.random.pick(composites(m))];
    const innermost = inlineFragment(inner.name, [field("__typename")]);
    return m.insert(node.selections, inlineFragment(outer.name, [innermost]));
  },

  "unused fragment": (m) => {
    const type = m.random.pick(composites(m));
    return m.insert(m.document.definitions, definition("Extra", type.name, [m.selection(type)]));
  },

  "unused fragments that spread each other": (m) => {
    const definitions = [
      definition("One", "User", [field("id"), spread("Two")]),
      definition("Two", "User", [field("id"), ...(m.random.chance(0.5) ? [spread("One")] : [])]),
    ];
    return m.insert(m.document.definitions, ...definitions);
  },

  "undefined fragment": (m) => {
    const { node } = m.pick("sets");
    return m.insert(node.selections, spread(m.random.pick(["Nope", "User", "F", "fragment"])));
  },

  "deleted fragment": (m) => {
    const site = m.pick("fragments");
    return site && m.document.definitions.splice(m.document.definitions.indexOf(site.node), 1);
  },

  "fragment that spreads itself": (m) => {
    const site = m.pick("fragments");
    return site && m.insert(site.node.selectionSet.selections, spread(site.node.name.value));
  },

  "cycle of fragments": (m) => {
    const { node, type } = m.pick("sets");
    const key = m.random.pick(["id", "__typename"]);
    const definitions = ["One", "Two", "Three"].map((each, n, list) =>
      definition(each, type.name, [field(key), spread(list[(n + 1) % 3])]),
    );
    m.insert(m.document.definitions, ...definitions);
    return m.insert(node.selections, spread("One"));
  },

  "duplicate fragment name": (m) => {
    const site = m.pick("fragments");
    if (!site) return false;
    const copy = structuredClone(site.node);
    if (m.random.chance(0.5)) copy.selectionSet = selectionSet([field("__typename")]);
    return m.insert(m.document.definitions, copy);
  },

  "fragment named on": (m) => {
    const { node, type } = m.pick("sets");
    m.insert(m.document.definitions, definition("on", type.name, [field("__typename")]));
    return m.insert(node.selections, spread("on"));
  },

  "fragment without a type condition": (m) => {
    const { node } = m.pick("sets");
    m.insert(m.document.definitions, definition("Extra", undefined, [field("__typename")]));
    return m.insert(node.selections, spread("Extra"));
  },

  "unknown directive": (m) => {
    const { node } = m.pick(selections(m));
    const args = m.random.pick([[], ifTrue()]);
    const unknown = m.random.pick(["nope", "Skip", "defer", "stream", "client", "connection"]);
    return m.insert(node.directives, directive(unknown, args));
  },

  "directive of the schema on a selection": (m) => {
    const { node } = m.pick(selections(m));
    const args = m.random.pick([[], [argument("url", stringValue("a"))]]);
    return m.insert(
      node.directives,
      directive(m.random.pick(["deprecated", "oneOf", "specifiedBy"]), args),
    );
  },

  "directive on an operation": (m) => {
    const known = directive(m.random.pick(["skip", "include"]), ifTrue());
    const { operation } = m;
    if (operation.isShort) return false;
    return m.insert(operation.directives, m.random.pick([known, directive("nope")]));
  },

  "directive on a fragment definition": (m) => {
    const site = m.pick("fragments");
    return (
      site && m.insert(site.node.directives, directive(m.random.pick(["skip", "nope"]), ifTrue()))
    );
  },

  "directive on a variable definition": (m) => {
    const site = m.pick("variables");
    const known = directive("include", ifTrue());
    return site && m.insert(site.node.directives, m.random.pick([known, directive("nope")]));
  },

  "duplicate directive": (m) => {
    const site = m.pick("directives");
    return site && m.insert(site.parent, structuredClone(site.node));
  },

  "@skip twice with different conditions": (m) => {
    const { node } = m.pick(selections(m));
    const args = () => [argument("if", booleanValue(m.random.chance(0.5)))];
    return m.insert(node.directives, directive("skip", args()), directive("skip", args()));
  },

  "@skip or @include without if": (m) => {
    const { node } = m.pick(selections(m));
    return m.insert(node.directives, directive(m.random.pick(["skip", "include"])));
  },

  "@skip or @include with an unknown argument": (m) => {
    const { node } = m.pick(selections(m));
    const unknown = argument(m.random.pick(["unless", "If", "label"]), booleanValue(true));
    const args = m.random.chance(0.5) ? [...ifTrue(), unknown] : [unknown];
    return m.insert(node.directives, directive(m.random.pick(["skip", "include"]), args));
  },

  "@skip or @include with a wrong condition": (m) => {
    const { node } = m.pick(selections(m));
    const values = [
      nullValue,
      stringValue("true"),
      intValue(1),
      rawValue("TRUE"),
      rawValue("[true]"),
    ];
    const args = [argument("if", m.random.pick(values))];
    return m.insert(node.directives, directive(m.random.pick(["skip", "include"]), args));
  },

  "error under a skipped selection": (m) => {
    const { node } = m.pick("sets");
    const skip = [directive("skip", ifTrue())];
    const wrong = [field("nope"), spread("Nope"), field("__typename", { args: ifTrue() })];
    return m.insert(node.selections, inlineFragment(undefined, [m.random.pick(wrong)], skip));
  },
};
