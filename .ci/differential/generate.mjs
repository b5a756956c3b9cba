// Makes valid requests for any schema.
//
// A draft is {document, variables, operationName}: a syntax tree, a map from variables to JSON text
// or null for none, and a name, null or undefined. `render` makes a request of it, whose parts are
// texts. Nearly all drafts are valid; `generate` drops the others, which graphql-js refuses.
import { Kind } from "graphql";
import { Scope } from "./scope.mjs";
import { Selections } from "./selections.mjs";
import * as syntax from "./syntax.mjs";
import { layOut, STYLES, tokensOf } from "./syntax.mjs";
import { DEFAULT_POOL } from "./values.mjs";
import { verdict } from "./verdict.mjs";

const OPERATIONS = ["A", "query", "Q", "on", "_"];

const DEFAULTS = {
  // The types of operations, with their weights.
  operations: [
    [7, "query"],
    [2, "mutation"],
    [1, "subscription"],
  ],
  // Fields to select more often than others.
  prefer: [],
  // How many of the values are variables.
  variableRate: 0.3,
  // Whether the data of the answers matters: fewer arguments that are errors.
  isForAnswers: false,
  // Values that exist.
  pool: DEFAULT_POOL,
};

export class Generator extends Selections {
  constructor(schema, random, options) {
    super(schema, random, { ...DEFAULTS, ...options });
  }

  draft() {
    const { random } = this;
    const count = random.weighted([6, 1], [1, 2], [0.5, 3]);
    const operations = Array.from({ length: count }, () => this.operation(count > 1));
    const definitions = operations.map(({ node }) => node);
    for (const { node } of this.fragments) {
      definitions.splice(random.below(definitions.length + 1), 0, node);
    }
    const { node, context } = random.pick(operations);
    const isNamed = node.name && (count > 1 || random.chance(0.5));
    return {
      document: { kind: Kind.DOCUMENT, definitions },
      variables: this.variableValues(context),
      operationName: isNamed ? node.name.value : random.pick([null, undefined]),
    };
  }

  operation(mustHaveName) {
    const { random } = this;
    const operation = random.weighted(...this.operations);
    const type = this.schema.getRootType(operation);
    const context = { variables: new Map() };
    this.budget = random.weighted([4, 4], [4, 10], [1, 25]);
    const selections =
      operation === "subscription"
        ? this.subscription(type, context)
        : this.selections(type, new Scope(), context, { depth: 0, lists: 0 });
    const hasName = mustHaveName || random.chance(0.6);
    const isQuery = operation === "query";
    const isShort = isQuery && !hasName && !context.variables.size && random.chance(0.7);
    const node = {
      kind: Kind.OPERATION_DEFINITION,
      description: isShort ? undefined : this.description(),
      operation,
      name: hasName ? syntax.name(this.newName(OPERATIONS)) : undefined,
      variableDefinitions: [...context.variables].map(([name, { type, defaultValue }]) => ({
        kind: Kind.VARIABLE_DEFINITION,
        description: this.description(),
        variable: syntax.variable(name),
        type: syntax.typeNode(type),
        defaultValue,
        directives: [],
      })),
      directives: [],
      selectionSet: syntax.selectionSet(selections),
      isShort,
    };
    return { node, context };
  }

  // One root field, at times selected twice or in fragments. It has no @skip or @include, which the
  // specification forbids there.
  subscription(type, context) {
    const { random } = this;
    const scope = new Scope();
    const place = { depth: 0, lists: 0, isPlain: true };
    const def = this.preferred(Object.values(type.getFields()));
    const selections = [this.field(def, type, scope, context, place)];
    while (random.chance(0.2)) {
      const again = this.repeat([...scope][0], context, place);
      const condition = random.pick([undefined, type.name]);
      const inline = syntax.inlineFragment(condition, [again]);
      selections.push(random.pick([again, inline]));
    }
    if (random.chance(0.8)) return selections;
    const node = this.fragmentDefinition(this.newName(["F"]), type, selections);
    this.fragments.push({ node, type, scope, variables: new Map(), size: Infinity });
    return [syntax.spread(node.name.value)];
  }
}

// The texts of a draft. `variables` is JSON text, null, or undefined if absent.
export function render(draft, random, style = random.pick(STYLES)) {
  const query = layOut(draft.tokens ?? tokensOf(draft.document), style, random);
  const { variables, operationName } = draft;
  if (!variables) return { query, variables, operationName };
  const entries = [...variables].map(([key, json]) => `"${key}":${json}`);
  const separator = random.pick([",", ", ", "\n ,"]);
  return { query, variables: `{${entries.join(separator)}}`, operationName };
}

// A valid request with the verdict on it.
export function generate(schema, random, options) {
  for (;;) {
    const request = render(new Generator(schema, random, options).draft(), random);
    const found = verdict(schema, request);
    if (found.result === "ok") return { request, verdict: found };
  }
}
