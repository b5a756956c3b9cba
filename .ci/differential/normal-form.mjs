// The normal form of a valid query: the document that selects, for each type of object, one field
// per response key, in the order of the specification's CollectFields. Fragments and directives are
// resolved, and arguments are the values that graphql-js coerces, as literals.
//
// Its execution needs neither fragments across types, nor the merging of fields, nor variables, so
// it must give the same answer. The order of the keys is not left to the server: `answer` puts the
// data of the normal form in the order that the specification demands for the type of each object.
// Objects of interfaces and unions tell their type under the key TYPE. So do those whose fields are
// all skipped, because a document cannot select nothing.
import assert from "node:assert/strict";
import {
  getArgumentValues,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  Kind,
  print,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
  TypeNameMetaFieldDef,
  visit,
} from "graphql";
// Not part of the public interface. The version is pinned.
import { collectFields, collectSubfields } from "graphql/execution/collectFields.js";

const TYPE = "type_of_object_";
const META_FIELDS = {
  __schema: SchemaMetaFieldDef,
  __type: TypeMetaFieldDef,
  __typename: TypeNameMetaFieldDef,
};

function literal(value, type) {
  if (value === null) return "null";
  if (isNonNullType(type)) return literal(value, type.ofType);
  if (isListType(type)) return `[${value.map((item) => literal(item, type.ofType)).join(", ")}]`;
  if (isInputObjectType(type)) {
    const fields = Object.entries(value).map(
      ([key, item]) => `${key}: ${literal(item, type.getFields()[key].type)}`,
    );
    return `{${fields.join(", ")}}`;
  }
  return isEnumType(type) ? value : JSON.stringify(value);
}

// The fields of an object, by response key: the text of each, and its selections by type.
class Collector {
  constructor(schema, { document, variables }) {
    Object.assign(this, { schema, variables });
    this.uses = new Set();
    this.fragments = {};
    for (const each of document.definitions) {
      if (each.kind === Kind.FRAGMENT_DEFINITION) this.fragments[each.name.value] = each;
    }
  }

  root(type, set) {
    return collectFields(this.schema, this.fragments, this.variables, type, set);
  }

  fields(type, nodesByKey) {
    const entries = [...nodesByKey].map(([key, nodes]) => [key, this.field(type, key, nodes)]);
    return new Map(entries);
  }

  field(parent, key, nodes) {
    const { value } = nodes[0].name;
    const def = META_FIELDS[value] ?? parent.getFields()[value];
    const type = getNamedType(def.type);
    const text = `${key === value ? "" : `${key}: `}${value}${this.args(def, nodes[0])}`;
    if (!isCompositeType(type)) return { text };
    const isAbstract = isAbstractType(type);
    const types = isAbstract ? this.schema.getPossibleTypes(type) : [type];
    const select = (each) =>
      collectSubfields(this.schema, this.fragments, this.variables, each, nodes);
    const selections = types.map((each) => [each.name, this.fields(each, select(each))]);
    return { text, isAbstract, selections: new Map(selections) };
  }

  args(def, node) {
    let values;
    try {
      values = getArgumentValues(def, node, this.variables);
    } catch {
      // An error of the field. As literals, the arguments would be an error of the document.
      const Variable = ({ name }) => void this.uses.add(name.value);
      visit(node, { Variable, SelectionSet: () => false });
      return `(${node.arguments.map(print).join(", ")})`;
    }
    const given = def.args.filter(({ name }) => values[name] !== undefined);
    const args = given.map(({ name, type }) => `${name}: ${literal(values[name], type)}`);
    return args.length ? `(${args.join(", ")})` : "";
  }
}

function printFields(fields) {
  const texts = [...fields.values()].map(({ text, isAbstract, selections }) => {
    if (!selections) return text;
    const inner = [...selections].map(([type, each]) => [type, printFields(each)]);
    if (!isAbstract) return `${text} { ${inner[0][1]} }`;
    const fragments = inner.map(([type, each]) => `... on ${type} { ${each} }`);
    return `${text} { ${TYPE}: __typename ${fragments.join(" ")} }`;
  });
  return texts.join(" ") || `${TYPE}: __typename`;
}

// The data with its keys in the right order.
function inOrder(data, fields) {
  const { [TYPE]: _, ...object } = data;
  assert.deepEqual(Object.keys(object).sort(), [...fields.keys()].sort(), "the normal form's keys");
  const ordered = [...fields].map(([key, field]) => [key, valueInOrder(object[key], field)]);
  return Object.fromEntries(ordered);
}

function valueInOrder(value, field) {
  if (value === null || !field.selections) return value;
  if (Array.isArray(value)) return value.map((item) => valueInOrder(item, field));
  const { selections, isAbstract } = field;
  return inOrder(value, isAbstract ? selections.get(value[TYPE]) : [...selections.values()][0]);
}

// Takes the verdict on a valid query. Returns the document, and the function from the data of the
// document to the text of the answer.
export function normalForm(schema, verdict) {
  const { operation } = verdict;
  const collector = new Collector(schema, verdict);
  const type = schema.getRootType(operation.operation);
  const fields = collector.fields(type, collector.root(type, operation.selectionSet));
  const definitions = (operation.variableDefinitions ?? [])
    .filter(({ variable }) => collector.uses.has(variable.name.value))
    .map(print);
  const head = definitions.length ? `(${definitions.join(", ")}) ` : "";
  const query = `${operation.operation} ${head}{ ${printFields(fields)} }`;
  return { query, answer: (data) => JSON.stringify(data && inOrder(data, fields)) };
}

// The response keys at the root of a valid request, in order.
export function rootFields(schema, verdict) {
  const { operation } = verdict;
  const type = schema.getRootType(operation.operation);
  return [...new Collector(schema, verdict).root(type, operation.selectionSet).keys()];
}
