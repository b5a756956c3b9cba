// Mutations of variables, their types and their values.
import { getNullableType, isListType, isNonNullType, Kind } from "graphql";
import {
  argument,
  booleanValue,
  directive,
  field,
  intValue,
  listType,
  listValue,
  name,
  namedType,
  nullValue,
  objectField,
  objectValue,
  rawValue,
  requiredType,
  stringValue,
  typeNode,
  variable,
} from "../syntax.mjs";
import { withLists, withObjects, withOneOf, withVariables } from "./options.mjs";

const definition = (key, type, defaultValue) => ({
  kind: Kind.VARIABLE_DEFINITION,
  variable: variable(key),
  type,
  defaultValue,
  directives: [],
});
const TYPES = [
  "Int",
  "String",
  "ID",
  "Boolean",
  "UserBy",
  "Float",
  "FollowState",
  "CreatePostInput",
];

// A type of any shape.
function anyType(random) {
  let type = namedType(random.pick(TYPES));
  if (random.chance(0.4)) type = requiredType(type);
  if (random.chance(0.25)) type = listType(type);
  return type.kind !== Kind.NON_NULL_TYPE && random.chance(0.3) ? requiredType(type) : type;
}

// The type of a position, or a type that differs from it in one step.
function nearType(random, position) {
  const type = typeNode(position);
  const isRequired = type.kind === Kind.NON_NULL_TYPE;
  const inner = isRequired ? type.type : type;
  const item = inner.kind === Kind.LIST_TYPE ? inner.type : inner;
  const list =
    inner.kind === Kind.LIST_TYPE ? [inner, listType(getNullable(item))] : [listType(inner)];
  const nearby = [type, inner, requiredType(inner), ...list, ...list.map(requiredType), item];
  return random.chance(0.3) ? anyType(random) : random.pick(nearby);
}

const define = (m, ...nodes) => {
  const { operation } = m;
  operation.isShort = false;
  return m.insert(operation.variableDefinitions, ...nodes);
};

// The definition of the variable of a use. Several operations may define the name.
const definitionOf = (m, { node }) =>
  m.pick("variables", (each) => each.node.variable.name.value === node.name.value)?.node;

// Gives the variable of a use another type.
const retype = (filter) => (m) => {
  const use = m.pick("uses", filter);
  if (!use) return false;
  const found = definitionOf(m, use);
  found.type = nearType(m.random, use.type);
  if (m.random.chance(0.5)) delete found.defaultValue;
  return true;
};

// Replaces a value by a new variable of any type.
const put = (filter) => (m) => {
  const site = m.pick("values", (each) => !each.isDefault && filter(each));
  if (!site) return false;
  const defaults = [
    undefined,
    undefined,
    undefined,
    nullValue,
    intValue(1),
    stringValue("a"),
    booleanValue(true),
  ];
  for (const each of m.sites.operations) {
    each.node.isShort = false;
    const type = nearType(m.random, site.type);
    const node = definition("extra", type, m.random.pick(defaults));
    each.node.variableDefinitions.push(node);
  }
  const values = ["1", '"a"', "true", "null", '{"id":"a"}', "[1]", '["a"]', "[]"];
  const given = m.random.chance(0.7) ? [["extra", m.random.pick(values)]] : [];
  m.draft.variables = new Map([...(m.draft.variables ?? []), ...given]);
  return m.replace(site, variable("extra"));
};

const inList = ({ owner }) => owner.kind === Kind.LIST;
const inObject = ({ owner }) => owner.kind === Kind.OBJECT_FIELD;
const inArgument = ({ owner }) => owner.kind === Kind.ARGUMENT;
const VALUES = [
  ...["1", "-1", "1.0", "2e1", "1.5", "2147483647", "2147483648", "-2147483649", "1e10", "-0"],
  ...["null", "true", "false", '"1"', '""', '"true"', "[]", "[1]", "[null]", '["a"]', "[[1]]"],
  ...["{}", '{"a":1}', '{"id":"a"}', '{"id":null}', '{"id":"a","username":"b"}', '{"id":1}'],
  ...['{"body":"a"}', '{"body":1}', '{"id":"a","username":null}', "[true]", '{"body":null}'],
];

// Sets the value of a variable of the operation to any of the values.
const setValue =
  (values, filter = () => true) =>
  (m) => {
    const site = m.pick("variables", filter);
    if (!site) return false;
    const key = site.node.variable.name.value;
    m.draft.variables = new Map(m.draft.variables ?? []).set(key, m.random.pick(values));
    return true;
  };

const typeOf = ({ node }) => node.type;
const nameOf = (type) => (type.kind === Kind.NAMED_TYPE ? type.name.value : nameOf(type.type));
const isOfType =
  (...names) =>
  (site) =>
    names.includes(nameOf(typeOf(site)));
const isRequired = (site) => typeOf(site).kind === Kind.NON_NULL_TYPE && !site.node.defaultValue;
const isInput = (m) => (site) => m.schema.getType(nameOf(typeOf(site)))?.getFields;

// Changes the JSON of an input object that a variable has as its value.
const changeObject = (change) => (m) => {
  const site = m.pick("variables", isInput(m));
  const json = site && m.draft.variables?.get(site.node.variable.name.value);
  if (!json) return false;
  const value = JSON.parse(json);
  if (value === null || typeof value !== "object" || Array.isArray(value)) return false;
  change(value, m, m.schema.getType(nameOf(typeOf(site))));
  m.draft.variables.set(site.node.variable.name.value, JSON.stringify(value));
  return true;
};

export const VARIABLE_KINDS = {
  "unused variable": (m) => define(m, definition("extra", anyType(m.random))),

  "undefined variable": (m) => {
    const site = m.pick("values", (each) => !each.isDefault);
    return site && m.replace(site, variable("nope"));
  },

  "undefined variable in a directive": (m) => {
    const { node } = m.pick("fields");
    const args = [argument("if", variable("nope"))];
    return m.insert(node.directives, directive("include", args));
  },

  "deleted variable definition": (m) => {
    const site = m.pick("variables");
    return site && site.parent.splice(site.key, 1);
  },

  "duplicate variable": (m) => {
    const site = m.pick("variables");
    if (!site) return false;
    const copy = structuredClone(site.node);
    if (m.random.chance(0.5)) copy.type = anyType(m.random);
    return m.insert(site.parent, copy);
  },

  "variable of an output type": (m) => {
    const site = m.pick("variables");
    const type = namedType(m.random.pick(["User", "Node", "TimelineEvent", "Query", "__Type"]));
    if (site) site.node.type = m.random.pick([type, requiredType(type), listType(type)]);
    return site;
  },

  "variable of an unknown type": (m) => {
    const site = m.pick("variables");
    if (site) site.node.type = namedType(m.random.pick(["Nope", "int", "string", "Long", "JSON"]));
    return site;
  },

  "variable of a built-in type that the schema does not use": (m) => {
    const site = m.pick("variables");
    if (site) site.node.type = namedType("Float");
    return site;
  },

  "any type of a variable": withVariables((m) => {
    const site = m.pick("variables");
    if (site) site.node.type = anyType(m.random);
    return site;
  }),
  "another type of a variable": withVariables(retype(() => true)),
  "another type of a variable in a list": withLists(retype(inList)),
  "another type of a variable in an input object": withObjects(retype(inObject)),
  "another type of a variable in a directive": retype(({ type }) => String(type) === "Boolean!"),
  "variable for an argument": put(inArgument),
  "variable for an item of a list": withLists(put(inList)),
  "variable for a field of an input object": withObjects(put(inObject)),
  "variable for a list": withLists(put(({ type }) => isListType(getNullableType(type)))),

  "nullable variable for a value that must not be null": withVariables((m) => {
    const use = m.pick("uses", ({ type }) => isNonNullType(type));
    const found = use && definitionOf(m, use);
    if (found?.type.kind !== Kind.NON_NULL_TYPE) return false;
    found.type = found.type.type;
    if (m.random.chance(0.7)) delete found.defaultValue;
    return true;
  }),

  "nullable variable in a @oneOf object": withOneOf((m) => {
    const use = m.pick(
      "uses",
      ({ inType, owner }) => inObject({ owner }) && getNullableType(inType)?.isOneOf,
    );
    const found = use && definitionOf(m, use);
    if (found?.type.kind !== Kind.NON_NULL_TYPE) return false;
    found.type = found.type.type;
    return true;
  }),

  "item of a list type for the list": withLists((m) => {
    const use = m.pick("uses", ({ type }) => isListType(getNullableType(type)));
    const found = use && definitionOf(m, use);
    if (!found) return false;
    found.type = requiredType(namedType(nameOf(found.type)));
    delete found.defaultValue;
    return true;
  }),

  "any default value": withVariables((m) => {
    const site = m.pick("variables");
    const values = ["1", "1.5", '"a"', "true", "RED", "null", "[1]", '["a"]', "{}", '{id: "a"}'];
    if (site) site.node.defaultValue = rawValue(m.random.pick(values));
    return site;
  }),

  "null as the default of a non-null variable": (m) => {
    const site = m.pick("variables", (each) => typeOf(each).kind === Kind.NON_NULL_TYPE);
    if (site) site.node.defaultValue = nullValue;
    return site;
  },

  "null as the default of a nullable variable": (m) => {
    const site = m.pick("variables", (each) => typeOf(each).kind !== Kind.NON_NULL_TYPE);
    if (site) site.node.defaultValue = nullValue;
    return site;
  },

  "unknown field in a default value": (m) => {
    const fields = [objectField(m.random.pick(["id", "nope"]), stringValue("a"))];
    const others = [...fields, objectField("username", stringValue("b"))];
    const value = objectValue(m.random.pick([fields, others, []]));
    const nullable = m.random.chance(0.5) ? namedType("UserBy") : requiredType(namedType("UserBy"));
    const root = m.pick("sets", ({ type }) => type === m.schema.getQueryType());
    if (!root || m.sites.operations.length > 1 || m.sites.fragments.length) return false;
    define(m, definition("by", nullable, value));
    const args = [argument("by", variable("by"))];
    return m.insert(
      root.node.selections,
      field("user", { alias: "extra", args, selections: [field("id")] }),
    );
  },

  "variable as a default value": (m) => {
    const site = m.pick("variables");
    if (site) site.node.defaultValue = m.random.pick([variable("a"), listValue([variable("b")])]);
    return site;
  },

  "unknown enum value as a default": (m) => {
    const type = namedType("FollowState");
    const value = m.random.pick(["NOPE", '"FOLLOWING"', "FOLLOWING", "following", "1"]);
    return define(m, definition("state", type, rawValue(value)));
  },

  "any value of a variable": withVariables(setValue(VALUES)),
  "any value of a required variable": withVariables(setValue(VALUES, isRequired)),
  "any value of an Int variable": withVariables(setValue(VALUES, isOfType("Int"))),
  "any value of a String variable": withVariables(setValue(VALUES, isOfType("String"))),
  "any value of an ID variable": withVariables(setValue(VALUES, isOfType("ID"))),
  "any value of a Boolean variable": withVariables(setValue(VALUES, isOfType("Boolean"))),
  "any value of an input object": withObjects((m) => setValue(VALUES, isInput(m))(m)),
  "any value of a list": withLists(
    setValue(VALUES, ({ node }) => getNullable(node.type).kind === Kind.LIST_TYPE),
  ),
  "null for a required variable": withVariables(setValue(["null"], isRequired)),
  "null for a variable": withVariables(setValue(["null"])),

  "numbers at the limits of Int in JSON": setValue(
    [
      "2147483647",
      "2147483648",
      "-2147483648",
      "-2147483649",
      "1e9",
      "1e10",
      "0.1e1",
      "1.5",
      "3000000000.0",
    ],
    isOfType("Int"),
  ),

  "numbers in JSON for ID": setValue(
    ["0", "-0", "1.0", "1e2", "-5", "1.5", "9007199254740993", "123456789012345678901234567890"],
    isOfType("ID"),
  ),

  "no value for a variable": (m) => {
    const site = m.pick("variables");
    return site && m.draft.variables?.delete(site.node.variable.name.value);
  },

  "no value for a required variable": withVariables((m) => {
    const site = m.pick("variables", isRequired);
    return site && m.draft.variables?.delete(site.node.variable.name.value);
  }),

  "no values": (m) => {
    m.draft.variables = m.random.pick([null, undefined, new Map()]);
    return m.sites.variables.length;
  },

  "values of other variables": (m) => {
    const others = [
      ["nope", "1"],
      ["__proto", "{}"],
      ["Id", "null"],
      ["", "2"],
      ["a b", "[]"],
    ];
    m.draft.variables = new Map([...(m.draft.variables ?? []), ...m.random.shuffle(others)]);
    return true;
  },

  "value of a variable of an operation that does not run": (m) => {
    const [first] = m.sites.operations;
    if (!first.node.name) return false;
    const selections = [
      field("__typename", {
        directives: [directive("include", [argument("if", variable("only"))])],
      }),
    ];
    const other = { ...structuredClone(first.node), name: name("Extra"), operation: "query" };
    other.selectionSet = { kind: Kind.SELECTION_SET, selections };
    other.variableDefinitions = [definition("only", requiredType(namedType("Boolean")))];
    m.draft.operationName = m.random.chance(0.8)
      ? (m.draft.operationName ?? first.node.name.value)
      : "Extra";
    if (m.random.chance(0.5))
      m.draft.variables = new Map(m.draft.variables ?? []).set("only", '"wrong"');
    return m.insert(m.document.definitions, other);
  },

  "unknown field in the value of an input object": withObjects(
    changeObject((value, { random }) => {
      value[random.pick(["nope", "ID", "Body"])] = random.pick([null, 1]);
    }),
  ),

  "missing field in the value of an input object": withObjects(
    changeObject((value, { random }) => {
      delete value[random.pick(Object.keys(value))];
    }),
  ),

  "another field in the value of an input object": withObjects(
    changeObject((value, { random }, type) => {
      value[random.pick(Object.keys(type.getFields()))] = random.pick([
        null,
        1,
        "a",
        true,
        ["a"],
        {},
      ]);
    }),
  ),
};

function getNullable(type) {
  return type.kind === Kind.NON_NULL_TYPE ? type.type : type;
}
