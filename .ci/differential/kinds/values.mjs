// Mutations of literals and input objects.
import {
  getNamedType,
  getNullableType,
  isListType,
  isNonNullType,
  isRequiredInputField,
  Kind,
} from "graphql";
import {
  booleanValue,
  enumValue,
  intValue,
  listValue,
  nullValue,
  objectField,
  objectValue,
  rawString,
  rawValue,
  stringValue,
} from "../syntax.mjs";
import { withLists, withObjects, withOneOf } from "./options.mjs";

const LITERALS = [
  ...["1", "-1", "0", "-0", "2147483647", "-2147483648", "2147483648", "-2147483649"],
  ...["99999999999", "1.0", "1.5", "1e2", "-0.0", "1E+3", "123456789012345678901234567890"],
  ...['"1"', '""', '"true"', '"""1"""', "true", "false", "null", "RED", "Null", "TRUE", "nulls"],
  ...["[]", "[1]", "[[1]]", '["a"]', "[null]", "[true, 1]", "{}", "{a: 1}", '{id: "1"}'],
];

// Replaces a literal of the type by any other literal.
const literalFor = (type) => (m) => {
  const site = m.pick("values", (each) => String(getNullableType(each.type)) === type);
  return site && m.replace(site, rawValue(m.random.pick(LITERALS)));
};

const NUMBERS = ["2147483648", "-2147483649", "9999999999", "1e1", "1.0", "9007199254740993"];
const isOneOf = ({ type }) => type.isOneOf;
const other = (type, set) =>
  Object.keys(type.getFields()).find((key) => !set.some((each) => each.name.value === key));

export const VALUE_KINDS = {
  "any literal for Int": literalFor("Int"),
  "any literal for String": literalFor("String"),
  "any literal for Boolean": literalFor("Boolean"),
  "any literal for ID": literalFor("ID"),

  "any literal for a list": withLists((m) => {
    const site = m.pick("values", ({ type }) => isListType(getNullableType(type)));
    return site && m.replace(site, rawValue(m.random.pick(LITERALS)));
  }),

  "any literal for an input object": withObjects((m) => {
    const site = m.pick("values", ({ type }) => getNullableType(type)?.getFields);
    return site && m.replace(site, rawValue(m.random.pick(LITERALS)));
  }),

  "any literal in a directive": (m) => {
    const site = m.pick("arguments", ({ owner }) => owner.kind === Kind.DIRECTIVE);
    if (site) site.node.value = rawValue(m.random.pick(LITERALS));
    return site;
  },

  "numbers at the limits of Int": (m) => {
    const site = m.pick("values", ({ type }) => getNamedType(type)?.name === "Int");
    return site && m.replace(site, rawValue(m.random.pick(NUMBERS)));
  },

  "literal wrapped in a list": (m) => {
    const site = m.pick("values");
    return site && m.replace(site, listValue([site.node]));
  },

  null: (m) => {
    const site = m.pick("values");
    return site && m.replace(site, nullValue);
  },

  "null for a non-null value": (m) => {
    const site = m.pick("values", ({ type }) => isNonNullType(type));
    return site && m.replace(site, nullValue);
  },

  "enum value for a string": (m) => {
    const site = m.pick("values", ({ type }) =>
      ["String", "ID"].includes(getNamedType(type)?.name),
    );
    return site && m.replace(site, enumValue(m.random.pick(["JOHN", "NOT_FOUND", "on", "_"])));
  },

  "unknown input field": withObjects((m) => {
    const site = m.pick("objects");
    const key = m.random.pick(["nope", "ID", "__typename", "Username"]);
    return (
      site && m.insert(site.node.fields, objectField(key, m.random.pick([nullValue, intValue(1)])))
    );
  }),

  "missing input field": withObjects((m) => {
    const site = m.pick("objects", ({ type }) =>
      Object.values(type.getFields()).some(isRequiredInputField),
    );
    if (!site) return false;
    const required = Object.values(site.type.getFields()).filter(isRequiredInputField);
    const { name: key } = m.random.pick(required);
    site.node.fields = site.node.fields.filter(({ name }) => name.value !== key);
    return true;
  }),

  "duplicate input field": withObjects((m) => {
    const site = m.pick("objects", ({ node }) => node.fields.length > 0);
    if (!site) return false;
    const copy = structuredClone(m.random.pick(site.node.fields));
    if (m.random.chance(0.5)) copy.value = m.random.pick([nullValue, stringValue("b1")]);
    return m.insert(site.node.fields, copy);
  }),

  "duplicate input field deep in a wrong value": (m) => {
    const site = m.pick("values");
    if (!site) return false;
    const fields = [objectField("a", intValue(1)), objectField("a", intValue(1))];
    return m.replace(site, m.random.pick([listValue([objectValue(fields)]), objectValue(fields)]));
  },

  "@oneOf with two fields": withOneOf((m) => {
    const site = m.pick("objects", isOneOf);
    const key = site && other(site.type, site.node.fields);
    if (!key) return false;
    const value = m.random.pick([stringValue("susan"), nullValue]);
    return m.insert(site.node.fields, objectField(key, value));
  }),

  "@oneOf without fields": withOneOf((m) => {
    const site = m.pick("objects", isOneOf);
    if (site) site.node.fields = [];
    return site;
  }),

  "@oneOf with null": withOneOf((m) => {
    const site = m.pick("objects", isOneOf);
    if (site) for (const each of site.node.fields) each.value = nullValue;
    return site;
  }),

  "string for an input object": withObjects((m) => {
    const site = m.pick("objects");
    return site && m.replace(site, m.random.pick([stringValue("john"), listValue([site.node])]));
  }),

  "boolean as a string": (m) => {
    const site = m.pick("values", ({ node }) => node.kind === Kind.BOOLEAN);
    return site && m.replace(site, rawString(`"${site.node.value}"`));
  },

  "boolean as a number": (m) => {
    const site = m.pick("values", ({ node }) => node.kind === Kind.BOOLEAN);
    return site && m.replace(site, intValue(Number(site.node.value)));
  },

  "number as a boolean": (m) => {
    const site = m.pick("values", ({ node }) => node.kind === Kind.INT);
    return site && m.replace(site, booleanValue(true));
  },
};
