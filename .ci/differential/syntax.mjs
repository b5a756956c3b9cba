// From the syntax tree of a document to its tokens, and from tokens to a text.
//
// The printer of graphql-js prints one style, and repairs some trees that are broken on purpose,
// such as an empty selection. This one prints what is there, and puts white space, commas and
// comments wherever the grammar allows them.
import { isListType, isNonNullType, Kind } from "graphql";

export const name = (value) => ({ kind: Kind.NAME, value });
export const variable = (value) => ({ kind: Kind.VARIABLE, name: name(value) });
export const selectionSet = (selections) => ({ kind: Kind.SELECTION_SET, selections });
export const argument = (key, value) => ({ kind: Kind.ARGUMENT, name: name(key), value });
export const objectField = (key, value) => ({ kind: Kind.OBJECT_FIELD, name: name(key), value });
export const namedType = (value) => ({ kind: Kind.NAMED_TYPE, name: name(value) });
export const requiredType = (type) => ({ kind: Kind.NON_NULL_TYPE, type });
export const listType = (type) => ({ kind: Kind.LIST_TYPE, type });
export const typeNode = (type) => {
  if (isNonNullType(type)) return requiredType(typeNode(type.ofType));
  return isListType(type) ? listType(typeNode(type.ofType)) : namedType(type.name);
};
export const nullValue = { kind: Kind.NULL };
export const intValue = (value) => ({ kind: Kind.INT, value: String(value) });
export const booleanValue = (value) => ({ kind: Kind.BOOLEAN, value });
export const enumValue = (value) => ({ kind: Kind.ENUM, value });
export const listValue = (values) => ({ kind: Kind.LIST, values });
export const objectValue = (fields) => ({ kind: Kind.OBJECT, fields });
// A string with its literal as it stands in the document.
export const rawString = (raw) => ({ kind: Kind.STRING, value: raw, raw });
export const stringValue = (value) => rawString(JSON.stringify(value));
// Any text in the place of a value.
export const rawValue = (raw) => ({ kind: Kind.ENUM, value: raw });
export const directive = (value, args = []) => ({
  kind: Kind.DIRECTIVE,
  name: name(value),
  arguments: args,
});
export const field = (value, { alias, args = [], directives = [], selections } = {}) => ({
  kind: Kind.FIELD,
  alias: alias ? name(alias) : undefined,
  name: name(value),
  arguments: args,
  directives,
  selectionSet: selections && selectionSet(selections),
});
export const spread = (value, directives = []) => ({
  kind: Kind.FRAGMENT_SPREAD,
  name: name(value),
  directives,
});
export const inlineFragment = (type, selections, directives = []) => ({
  kind: Kind.INLINE_FRAGMENT,
  typeCondition: type ? namedType(type) : undefined,
  directives,
  selectionSet: selectionSet(selections),
});

// Prints a node of each kind as a list of tokens.
const all = (nodes = []) => nodes.flatMap(tokensOf);
const inBrackets = (open, nodes, close) => (nodes?.length ? [open, ...all(nodes), close] : []);
const condition = (type) => (type ? ["on", ...tokensOf(type)] : []);
const describe = ({ description }) => (description ? tokensOf(description) : []);
const PRINTERS = {
  [Kind.DOCUMENT]: ({ definitions }) => all(definitions),
  [Kind.NAME]: ({ value }) => [value],
  [Kind.OPERATION_DEFINITION]: (node) => [
    ...describe(node),
    ...(node.isShort ? [] : [node.operation]),
    ...all(node.name ? [node.name] : []),
    ...inBrackets("(", node.variableDefinitions, ")"),
    ...all(node.directives),
    ...tokensOf(node.selectionSet),
  ],
  [Kind.VARIABLE_DEFINITION]: (node) => [
    ...describe(node),
    ...tokensOf(node.variable),
    ":",
    ...tokensOf(node.type),
    ...(node.defaultValue ? ["=", ...tokensOf(node.defaultValue)] : []),
    ...all(node.directives),
  ],
  [Kind.FRAGMENT_DEFINITION]: (node) => [
    ...describe(node),
    "fragment",
    ...tokensOf(node.name),
    ...condition(node.typeCondition),
    ...all(node.directives),
    ...tokensOf(node.selectionSet),
  ],
  [Kind.SELECTION_SET]: ({ selections }) => ["{", ...all(selections), "}"],
  [Kind.FIELD]: (node) => [
    ...(node.alias ? [node.alias.value, ":"] : []),
    ...tokensOf(node.name),
    ...inBrackets("(", node.arguments, ")"),
    ...all(node.directives),
    ...(node.selectionSet ? tokensOf(node.selectionSet) : []),
  ],
  [Kind.FRAGMENT_SPREAD]: (node) => ["...", ...tokensOf(node.name), ...all(node.directives)],
  [Kind.INLINE_FRAGMENT]: (node) => [
    "...",
    ...condition(node.typeCondition),
    ...all(node.directives),
    ...tokensOf(node.selectionSet),
  ],
  [Kind.ARGUMENT]: (node) => [...tokensOf(node.name), ":", ...tokensOf(node.value)],
  [Kind.OBJECT_FIELD]: (node) => [...tokensOf(node.name), ":", ...tokensOf(node.value)],
  [Kind.DIRECTIVE]: (node) => [
    "@",
    ...tokensOf(node.name),
    ...inBrackets("(", node.arguments, ")"),
  ],
  [Kind.VARIABLE]: (node) => ["$", ...tokensOf(node.name)],
  [Kind.NULL]: () => ["null"],
  [Kind.INT]: ({ value }) => [value],
  [Kind.FLOAT]: ({ value }) => [value],
  [Kind.STRING]: ({ raw }) => [raw],
  [Kind.BOOLEAN]: ({ value }) => [String(value)],
  [Kind.ENUM]: ({ value }) => [value],
  [Kind.LIST]: ({ values }) => ["[", ...all(values), "]"],
  [Kind.OBJECT]: ({ fields }) => ["{", ...all(fields), "}"],
  [Kind.NAMED_TYPE]: (node) => tokensOf(node.name),
  [Kind.LIST_TYPE]: ({ type }) => ["[", ...tokensOf(type), "]"],
  [Kind.NON_NULL_TYPE]: ({ type }) => [...tokensOf(type), "!"],
};

export function tokensOf(node) {
  return PRINTERS[node.kind](node);
}

const isWord = (character) => /[\w.]/.test(character);
const needsSpace = (left, right) => {
  const [end, start] = [left.at(-1), right[0]];
  return (isWord(end) && isWord(start) && right !== "...") || (end === '"' && start === '"');
};

// Where people who write documents put no space.
const isTight = (left, right) => "($@[".includes(left) || "(:!)]".includes(right);

// What the grammar ignores between two tokens. A comment may hold any text, so it holds what would
// confuse a scanner that looks for brackets or quotes.
const IGNORED = [" ", "  ", "\n", "\r\n", "\r", "\t", ",", ", ", " ,,\n", "\uFEFF", "\n\n    "];
const COMMENTS = ["#\n", "# a comment\n", '#"{[(\r', '# }""" 🐦 é\r\n', "#,# $x: @skip\n"];
const ignored = (random) => {
  let text = "";
  do text += random.chance(0.12) ? random.pick(COMMENTS) : random.pick(IGNORED);
  while (random.chance(0.2));
  return text;
};

export const STYLES = ["plain", "compact", "odd"];

// Joins tokens to a text: with the spaces that people write, without needless spaces, or with odd
// ones.
export function layOut(tokens, style, random) {
  const isOdd = style === "odd";
  const rate = isOdd ? random.pick([0.05, 0.3, 0.9]) : 0;
  let text = isOdd && random.chance(0.3) ? "\uFEFF" : "";
  tokens.forEach((token, n) => {
    const isNeeded = n > 0 && needsSpace(tokens[n - 1], token);
    if (isOdd && random.chance(rate)) text += ignored(random);
    else if (isNeeded) text += " ";
    else if (style === "plain" && n > 0 && !isTight(tokens[n - 1], token)) text += " ";
    text += token;
  });
  return isOdd && random.chance(0.3) ? text + random.pick([...IGNORED, "# the end"]) : text;
}
