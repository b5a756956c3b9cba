// Breaks valid requests in named ways.
//
// A kind is a function of a `Mutation`: it changes the draft of a valid request and returns true,
// or returns a false value if the draft has no place for it. Whether the result is invalid is not
// assumed: graphql-js decides. KINDS has all kinds by name.
import {
  getNullableType,
  isInputObjectType,
  Kind,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from "graphql";
import { Generator, render } from "./generate.mjs";
import { FIELD_KINDS } from "./kinds/fields.mjs";
import { FRAGMENT_KINDS } from "./kinds/fragments.mjs";
import { OPERATION_KINDS } from "./kinds/operations.mjs";
import { SYNTAX_KINDS } from "./kinds/syntax.mjs";
import { VALUE_KINDS } from "./kinds/values.mjs";
import { VARIABLE_KINDS } from "./kinds/variables.mjs";
import { Scope } from "./scope.mjs";
import { tokensOf } from "./syntax.mjs";

export const KINDS = {
  ...FIELD_KINDS,
  ...VALUE_KINDS,
  ...VARIABLE_KINDS,
  ...FRAGMENT_KINDS,
  ...OPERATION_KINDS,
  ...SYNTAX_KINDS,
};

const MAX_ATTEMPTS = 500;

// A request of the kind. The same random numbers give the same request.
export function mutate(schema, kind, random, options) {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const apply = KINDS[kind];
    const draft = new Generator(schema, random, { ...options, ...apply.options }).draft();
    const mutation = new Mutation(schema, draft, random);
    if (apply(mutation)) return render(mutation.withoutUnused(), random);
  }
  throw new Error(`no document has a place for the mutation "${kind}"`);
}

const LISTS = {
  [Kind.FIELD]: "fields",
  [Kind.SELECTION_SET]: "sets",
  [Kind.ARGUMENT]: "arguments",
  [Kind.INLINE_FRAGMENT]: "inlines",
  [Kind.FRAGMENT_SPREAD]: "spreads",
  [Kind.DIRECTIVE]: "directives",
  [Kind.OPERATION_DEFINITION]: "operations",
  [Kind.FRAGMENT_DEFINITION]: "fragments",
  [Kind.VARIABLE_DEFINITION]: "variables",
};

// The places of a document: lists of nodes, each with the object or list that holds it and the key
// there, with its owner, which is the node above, and with its types. `values` has all values,
// `uses` the variables among them, and `objects` the input objects.
function sitesOf(schema, document) {
  const sites = { values: [], uses: [], objects: [] };
  for (const list of Object.values(LISTS)) sites[list] = [];
  const info = new TypeInfo(schema);
  const enter = (node, key, parent, _path, ancestors) => {
    // The argument is nullable in graphql-js, and not in the edition of 2025.
    if (node.kind === Kind.ARGUMENT && node.name.value === "includeDeprecated") return false;
    const owner = Array.isArray(parent) ? ancestors.at(-1) : parent;
    const site = { node, key, parent, owner };
    const def = node.kind === Kind.FIELD ? info.getFieldDef() : info.getArgument();
    if (node.kind in LISTS)
      sites[LISTS[node.kind]].push({ ...site, type: info.getParentType(), def });
    const isValue = /Value$|^Variable$/.test(node.kind);
    if (!isValue || key === "variable" || key === "description") return undefined;
    const type = info.getInputType();
    sites.values.push({ ...site, type, isDefault: key === "defaultValue" });
    if (node.kind === Kind.VARIABLE) {
      sites.uses.push({ ...site, type, inType: info.getParentInputType() });
    }
    const nullable = type && getNullableType(type);
    if (node.kind === Kind.OBJECT && isInputObjectType(nullable)) {
      sites.objects.push({ ...site, type: nullable });
    }
    return undefined;
  };
  visit(document, visitWithTypeInfo(info, { enter }));
  return sites;
}

export class Mutation {
  constructor(schema, draft, random) {
    Object.assign(this, { schema, draft, random });
    this.document = draft.document;
    this.sites = sitesOf(schema, draft.document);
    this.generator = new Generator(schema, random);
    this.generator.budget = 3;
    // Names of the draft end with small numbers.
    this.generator.names = 100;
  }

  // The draft without the variables whose uses the mutation has replaced, so that it has one fault.
  withoutUnused() {
    const used = new Set(this.sites.uses.map(({ node }) => node.name.value));
    if (!used.size) return this.draft;
    const left = new Set();
    const enter = (node, key) => void (key !== "variable" && left.add(node.name.value));
    visit(this.document, { Variable: { enter } });
    for (const { node } of this.sites.operations) {
      node.variableDefinitions = node.variableDefinitions.filter(
        ({ variable }) =>
          !variable || !used.has(variable.name.value) || left.has(variable.name.value),
      );
    }
    return this.draft;
  }

  // A site, or undefined if there is none.
  pick(sites, filter = () => true) {
    const list = (typeof sites === "string" ? this.sites[sites] : sites).filter(filter);
    return list.length ? this.random.pick(list) : undefined;
  }

  replace({ parent, key }, node) {
    parent[key] = node;
    return true;
  }

  // Adds a node to a list of nodes, at any place.
  insert(list, ...nodes) {
    for (const node of nodes) list.splice(this.random.below(list.length + 1), 0, node);
    return true;
  }

  // A valid field of the type, without variables.
  field(type, def) {
    const context = { variables: new Map(), isConstant: true };
    const place = { depth: 3, lists: 2, isPlain: true };
    return this.generator.field(def, type, new Scope(), context, place);
  }

  // A valid selection of one field.
  selection(type) {
    const context = { variables: new Map(), isConstant: true };
    const place = { depth: 5, lists: 2, isPlain: true };
    return this.generator.anyField(type, new Scope(), context, place);
  }

  get operation() {
    return this.pick("operations").node;
  }

  // The tokens of the document, to change.
  get tokens() {
    return (this.draft.tokens ??= tokensOf(this.document));
  }

  // The place of a token.
  token(filter = () => true) {
    const places = [...this.tokens.keys()].filter((n) => filter(this.tokens[n], n));
    return places.length ? this.random.pick(places) : undefined;
  }

  // Replaces tokens by others.
  splice(at, count, ...tokens) {
    if (at === undefined) return false;
    this.tokens.splice(at, count, ...tokens);
    return true;
  }
}
