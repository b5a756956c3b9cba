// The part of the generator that makes selections: fields, fragments and spreads.
import {
  getNamedType,
  isAbstractType,
  isCompositeType,
  isIntrospectionType,
  isLeafType,
  isObjectType,
  isUnionType,
  Kind,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
  TypeNameMetaFieldDef,
} from "graphql";
import { Inputs } from "./inputs.mjs";
import { Scope } from "./scope.mjs";
import * as syntax from "./syntax.mjs";

// The server bounds the depth of fields (16), aliases (30) and directives (50), and it allows two
// nested lists of an introspection. Documents stay below that.
const MAX_DEPTH = 6;
const MAX_INTROSPECTIONS = 2;
const MAX_INTROSPECTION_LISTS = 2;
const INTROSPECTION_LISTS = ["fields", "inputFields", "interfaces", "possibleTypes"];
// Fields that graphql-js has and no edition of the specification, or whose arguments it has.
export const EXPERIMENTAL = [
  "__Directive.isDeprecated",
  "__Directive.deprecationReason",
  "__Schema.directives",
];
// Keywords are names like any other.
const ALIASES = ["a", "b", "c", "x", "on", "true", "null", "query", "fragment", "_", "_1", "Type"];
const FRAGMENTS = ["F", "fragment", "query", "Fields"];
const DESCRIPTIONS = ['"described"', '"""\n  In a block.\n  """', '""', '"query A { a }"'];

// By type, because they are often needed.
const CONDITIONS = new WeakMap();

// A `scope` has the response keys of a selection, and a `place` the depth of fields and the depth
// of introspection lists. With `isPlain`, the selections of the place have no directives.
export class Selections extends Inputs {
  constructor(...args) {
    super(...args);
    this.fragments = [];
    this.introspections = 0;
    // The number of selections to make.
    this.budget = 0;
  }

  selections(type, scope, context, place) {
    const { random } = this;
    const isDeep = place.depth >= MAX_DEPTH || this.budget <= 0;
    const count = isDeep ? 1 : random.weighted([2, 1], [3, 2], [3, 3], [2, 4], [1, 6]);
    return Array.from({ length: count }, () => {
      this.budget--;
      const kind = isDeep
        ? "anyField"
        : random.weighted([7, "anyField"], [1.2, "repeatAny"], [1.3, "inline"], [1.2, "spread"]);
      return this[kind](type, scope, context, place) ?? this.anyField(type, scope, context, place);
    });
  }

  // The fields that may be selected here.
  fieldsOf(type, { depth, lists }) {
    if (isUnionType(type)) return [];
    const isDeep = depth >= MAX_DEPTH - 1 || this.budget <= 0;
    const isIntrospection = isIntrospectionType(type);
    return Object.values(type.getFields()).filter(({ name, type: result }) => {
      if (isDeep && !isLeafType(getNamedType(result))) return false;
      if (!isIntrospection) return true;
      if (EXPERIMENTAL.includes(`${type.name}.${name}`)) return false;
      return lists < MAX_INTROSPECTION_LISTS || !INTROSPECTION_LISTS.includes(name);
    });
  }

  anyField(type, scope, context, place) {
    const { random } = this;
    const fields = this.fieldsOf(type, place);
    const mayAskForSchema =
      type === this.schema.getQueryType() && this.introspections < MAX_INTROSPECTIONS;
    let def = fields.length && random.chance(0.9) ? this.preferred(fields) : TypeNameMetaFieldDef;
    if (mayAskForSchema && random.chance(0.06)) {
      this.introspections++;
      def = random.pick([SchemaMetaFieldDef, TypeMetaFieldDef]);
    }
    return this.field(def, type, scope, context, place);
  }

  preferred(fields) {
    const preferred = fields.filter(({ name }) => this.prefer.includes(name));
    return this.random.pick(preferred.length && this.random.chance(0.7) ? preferred : fields);
  }

  field(def, type, scope, context, place) {
    const { random } = this;
    const isTypename = def === TypeNameMetaFieldDef;
    // graphql-js does not compare the type of __typename with that of other fields under the same
    // key, so it has keys of its own.
    const alias = isTypename ? "type_" : random.pick(ALIASES);
    let key = random.chance(0.2) ? alias : def.name;
    const taken = scope.get(key);
    if (taken?.field === def) return this.repeat([key, taken], context, place);
    const mayDiffer = taken && this.mayDiffer(taken, { field: def, type });
    if (taken && !mayDiffer) key = `k${this.names++}`;
    const entry = { field: def, type, args: this.args(def, context), scope: new Scope() };
    if (!mayDiffer) scope.set(key, entry);
    return this.select(key, entry, context, place);
  }

  // Objects of different types may have different fields under one key, of the same leaf type.
  mayDiffer(one, two) {
    return (
      one.type !== two.type &&
      [one, two].every(({ type, field }) => isObjectType(type) && !field.name.startsWith("__")) &&
      isLeafType(getNamedType(one.field.type)) &&
      String(one.field.type) === String(two.field.type)
    );
  }

  // Selects a field of the scope again.
  repeat([key, entry], context, place) {
    const args = this.random.shuffle(structuredClone(entry.args));
    return this.select(key, { ...entry, args }, context, place);
  }

  repeatAny(type, scope, context, place) {
    const fields = this.fieldsOf(type, place);
    const entries = [...scope].filter(([, { field, type: parent }]) =>
      field.name.startsWith("__") ? parent === type : fields.includes(field),
    );
    return entries.length ? this.repeat(this.random.pick(entries), context, place) : undefined;
  }

  select(key, { field, args, scope }, context, place) {
    const type = getNamedType(field.type);
    const isList = isIntrospectionType(type) && INTROSPECTION_LISTS.includes(field.name);
    const below = { depth: place.depth + 1, lists: place.lists + isList };
    return syntax.field(field.name, {
      alias: key === field.name && this.random.chance(0.98) ? undefined : key,
      args,
      directives: this.directives(context, place),
      selections: isCompositeType(type) ? this.selections(type, scope, context, below) : undefined,
    });
  }

  // The types that a fragment here may have as its condition.
  conditions(type) {
    if (!CONDITIONS.has(type)) {
      const possible = (each) =>
        isAbstractType(each) ? this.schema.getPossibleTypes(each) : [each];
      const mine = possible(type);
      const isPossible = (each) => possible(each).some((one) => mine.includes(one));
      const types = Object.values(this.schema.getTypeMap()).filter(isCompositeType);
      CONDITIONS.set(type, types.filter(isPossible));
    }
    return CONDITIONS.get(type);
  }

  inline(type, scope, context, place) {
    const { random } = this;
    const condition = random.chance(0.25) ? type : random.pick(this.conditions(type));
    const hasCondition = condition !== type || random.chance(0.5);
    const selections = this.selections(condition, scope, context, place);
    const name = hasCondition ? condition.name : undefined;
    return syntax.inlineFragment(name, selections, this.directives(context, place));
  }

  // Spreads a fragment of the document, or a new one. Returns undefined if the new one has fields
  // that do not fit.
  spread(type, scope, context, place) {
    const { random } = this;
    const conditions = this.conditions(type);
    const isUsable = (each) =>
      conditions.includes(each.type) &&
      each.depth + place.depth <= MAX_DEPTH + 2 &&
      each.size <= this.budget &&
      scope.fits(each.scope);
    const usable = this.fragments.filter(isUsable);
    const before = this.fragments.length;
    const fragment =
      usable.length && random.chance(0.6)
        ? random.pick(usable)
        : this.newFragment(random.pick(conditions), place);
    if (!scope.fits(fragment.scope)) {
      this.fragments.length = before;
      return undefined;
    }
    scope.merge(fragment.scope);
    this.budget -= fragment.size;
    for (const [name, variable] of fragment.variables) context.variables.set(name, variable);
    return syntax.spread(fragment.node.name.value, this.directives(context, place));
  }

  newFragment(type, place) {
    const before = this.budget;
    const context = { variables: new Map(), isShared: true };
    const scope = new Scope();
    // The fragment may be used in a deeper place later, and inside of introspection lists.
    const depth = Math.max(place.depth, 3);
    const selections = this.selections(type, scope, context, {
      depth,
      lists: MAX_INTROSPECTION_LISTS,
    });
    const node = this.fragmentDefinition(this.newName(FRAGMENTS), type, selections);
    const { variables } = context;
    const size = before - this.budget;
    const fragment = { node, type, scope, variables, size, depth: MAX_DEPTH - depth };
    this.fragments.push(fragment);
    return fragment;
  }

  fragmentDefinition(name, type, selections) {
    return {
      kind: Kind.FRAGMENT_DEFINITION,
      description: this.description(),
      name: syntax.name(name),
      typeCondition: syntax.namedType(type.name),
      directives: [],
      selectionSet: syntax.selectionSet(selections),
    };
  }

  description() {
    const raw = this.random.pick(DESCRIPTIONS);
    return this.random.chance(0.01) ? syntax.rawString(raw) : undefined;
  }
}
