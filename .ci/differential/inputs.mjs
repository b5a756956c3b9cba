// The part of the generator that makes arguments, variables and directives.
import {
  getNullableType,
  GraphQLList,
  GraphQLNonNull,
  isListType,
  isNonNullType,
  isRequiredArgument,
  isTypeSubTypeOf,
  Kind,
} from "graphql";
import * as syntax from "./syntax.mjs";
import { Values } from "./values.mjs";

// Keywords are names like any other.
const NAMES = ["a", "b", "v", "id", "first", "on", "true", "query", "_", "input"];

const nonNull = (type) => (isNonNullType(type) ? type : new GraphQLNonNull(type));
const isPage = ({ name }) => name === "first" || name === "last";
const isCursor = ({ name }) => name === "after" || name === "before";

// A `context` is what the operation or fragment has: its variables, by name. With `isShared`, the
// names are new in the document, because several operations may spread the fragment. With
// `isConstant`, it gets no variables.
export class Inputs {
  constructor(schema, random, options) {
    Object.assign(this, { schema, random, ...options });
    this.values = new Values(random, this.pool);
    this.names = 0;
  }

  newName(names) {
    return `${this.random.pick(names)}${this.names++ || ""}`;
  }

  args(def, context) {
    const { random } = this;
    const rate = this.isForAnswers ? 0.1 : 0.3;
    // Nearly every list gets a page size, because the cost of a document is bounded.
    const page = random.weighted([8, "first"], [2, "last"], [0.3, null]);
    const isChosen = (each) => {
      if (isPage(each)) return each.name === page || random.chance(rate / 10);
      // A cursor belongs to one list, so nearly all cursors are errors.
      if (this.isForAnswers && isCursor(each)) return random.chance(rate / 10);
      return isRequiredArgument(each) || random.chance(rate);
    };
    return random.shuffle(def.args.filter(isChosen)).map((each) => {
      const place = { hasDefault: each.defaultValue !== undefined, isPage: isPage(each) };
      // The argument is nullable in graphql-js, and not in the edition of 2025.
      const value =
        each.name === "includeDeprecated"
          ? syntax.booleanValue(random.chance(0.5))
          : this.value(each.type, each.name, place, context);
      return syntax.argument(each.name, value);
    });
  }

  // A value for a position. `place` is what the position is: `hasDefault` if its argument or input
  // field has a default, `isOneOf` inside of a @oneOf input object, `isCondition` for `if`.
  value(type, key, place, context) {
    const { random } = this;
    const rate = place.isPage ? this.variableRate / 2 : this.variableRate;
    if (!context.isConstant && random.chance(rate)) {
      return this.variable(type, key, place, context);
    }
    const mayBeNull = !isNonNullType(type) && !place.isOneOf;
    if (mayBeNull && random.chance(place.isPage ? 0.02 : 0.1)) return syntax.nullValue;
    return this.values.literal(type, key, (...inner) => this.value(...inner, context));
  }

  // A variable of the context, or a new one.
  variable(type, key, place, context) {
    const { random } = this;
    const location = place.isOneOf ? nonNull(type) : type;
    const fits = ([, each]) => this.isAllowed(each, location, place);
    const fitting = [...context.variables].filter(fits);
    const [name, variable] =
      fitting.length && random.chance(0.5)
        ? random.pick(fitting)
        : this.newVariable(location, key, place, context);
    // Null would be an error of the field, or leave open what is selected.
    variable.isNeeded ||= isNonNullType(location);
    variable.isCondition ||= place.isCondition;
    return syntax.variable(name);
  }

  newVariable(location, key, place, context) {
    const { random } = this;
    const wanted = context.isShared ? `f${this.names++}` : random.pick(NAMES);
    const name = context.variables.has(wanted) ? `v${this.names++}` : wanted;
    const variable = { ...this.variableType(location, key, place), key };
    context.variables.set(name, variable);
    return [name, variable];
  }

  // A type for a variable in the position, and its default value.
  variableType(location, key, place) {
    const { random, values } = this;
    if (isNonNullType(location) && !place.isOneOf && random.chance(0.4)) {
      // A default, of the variable or of the position, allows a nullable type.
      const type = location.ofType;
      if (place.hasDefault && random.chance(0.5)) return { type };
      return { type, defaultValue: values.constant(nonNull(type), key) };
    }
    let type = random.chance(0.25) ? nonNull(location) : location;
    const list = getNullableType(type);
    if (isListType(list) && random.chance(0.3)) {
      const stricter = new GraphQLList(nonNull(list.ofType));
      type = isNonNullType(type) ? nonNull(stricter) : stricter;
    }
    return { type, defaultValue: random.chance(0.3) ? values.constant(type, key) : undefined };
  }

  // The rule "All Variable Usages Are Allowed".
  isAllowed({ type, defaultValue }, location, { hasDefault, isOneOf }) {
    if (!isNonNullType(location) || isNonNullType(type) || isOneOf) {
      return isTypeSubTypeOf(this.schema, type, location);
    }
    const hasValue = hasDefault || (defaultValue && defaultValue.kind !== Kind.NULL);
    return Boolean(hasValue) && isTypeSubTypeOf(this.schema, type, location.ofType);
  }

  // @skip and @include, at most one of each.
  directives(context, { isPlain }) {
    const { random } = this;
    if (isPlain || !random.chance(0.12)) return [];
    const names = random.weighted(
      [4, ["skip"]],
      [4, ["include"]],
      [1, ["skip", "include"]],
      [1, ["include", "skip"]],
    );
    return names.map((name) => {
      const { type } = this.schema.getDirective(name).args[0];
      const value = random.chance(0.5)
        ? syntax.booleanValue(random.chance(name === "skip" ? 0.3 : 0.7))
        : this.value(type, "if", { isCondition: true }, context);
      return syntax.directive(name, [syntax.argument("if", value)]);
    });
  }

  // Values for the variables of the operation to run: absent, null, or a value. At times, a value
  // of a variable that the operation does not have.
  variableValues({ variables }) {
    const { random } = this;
    const values = new Map();
    for (const [name, { type, key, defaultValue, isNeeded, isCondition }] of variables) {
      const isRequired = isNonNullType(type);
      const mayBeAbsent = defaultValue !== undefined || (!isRequired && !isCondition);
      if (mayBeAbsent && random.chance(0.4)) continue;
      const mayBeNull = !isRequired && !isCondition && (!isNeeded || random.chance(0.1));
      values.set(name, this.values.json(type, key, mayBeNull));
    }
    if (random.chance(0.05)) values.set("another", random.pick(["1", "null", '{"a":[]}']));
    return values.size || random.chance(0.1) ? values : random.pick([null, undefined]);
  }
}
