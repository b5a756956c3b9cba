// What graphql-js makes of a request: "ok", or "refused" with the stage and the messages.
//
// Errors of fields do not refuse a request. So a nullable variable with a default that is null at
// an argument which must not be null is "ok": the specification makes it an error of the field.
import {
  getNullableType,
  getOperationAST,
  getVariableValues,
  GraphQLError,
  Kind,
  parse,
  recommendedRules,
  specifiedRules,
  validate,
  visit,
} from "graphql";

// A variable in a @oneOf input object must be of a non-null type. VariablesInAllowedPositionRule of
// graphql-js 16.15 says so too, but it overlooks objects in a position that must not be null, such as
// `by: UserBy!`.
function OneOfVariablesRule(context) {
  let definitions = new Map();
  return {
    OperationDefinition: {
      enter({ variableDefinitions = [] }) {
        definitions = new Map(variableDefinitions.map((each) => [each.variable.name.value, each]));
      },
      leave(operation) {
        for (const { node, parentType } of context.getRecursiveVariableUsages(operation)) {
          const definition = definitions.get(node.name.value);
          const isOneOf = parentType && getNullableType(parentType).isOneOf;
          if (!isOneOf || !definition || definition.type.kind === Kind.NON_NULL_TYPE) continue;
          const message = `The variable $${node.name.value} in a @oneOf object can be null.`;
          context.reportError(new GraphQLError(message, { nodes: node }));
        }
      },
    },
  };
}

// The rules of the specification. MaxIntrospectionDepthRule is a limit of graphql-js that is in no
// edition. Rookery has the same limit, with the code QUERY_TOO_COMPLEX.
export const RULES = [
  ...specifiedRules.filter((rule) => !recommendedRules.includes(rule)),
  OneOfVariablesRule,
];

const refused = (stage, errors) => ({
  result: "refused",
  stage,
  messages: errors.map(({ message }) => message),
});

export function verdict(schema, { query, variables, operationName }) {
  let document;
  try {
    document = parse(query, { noLocation: true });
  } catch (error) {
    return refused("parse", [error]);
  }
  const unclear = isUnclear(document);
  if (unclear) return { result: "unclear", messages: [unclear] };
  // The number of errors does not matter, so there is no need for more than one.
  const errors = validate(schema, document, RULES, { maxErrors: 1, hideSuggestions: true });
  if (errors.length) return refused("validate", errors.slice(0, 1));
  const operation = getOperationAST(document, operationName);
  if (!operation) return refused("operation", [new GraphQLError("No such operation.")]);
  const inputs = JSON.parse(variables ?? "null") ?? {};
  const definitions = operation.variableDefinitions ?? [];
  const values = getVariableValues(schema, definitions, inputs, { maxErrors: 1 });
  if (values.errors) return refused("variables", values.errors.slice(0, 1));
  if (hasNullCondition(document, values.coerced)) {
    return { result: "unclear", messages: ["the condition of @skip or @include is null"] };
  }
  return { result: "ok", document, operation, variables: values.coerced };
}

const conditions = ({ directives = [] }) =>
  directives.filter(({ name }) => name.value === "skip" || name.value === "include");

// Whether graphql-js is no judge. The edition of 2025 forbids @skip and @include on the root
// fields of a subscription. graphql-js 16 accepts them with a literal, and its rule for the single
// root field throws if the condition is a variable.
function isUnclear({ definitions }) {
  const fragments = new Map(
    definitions.flatMap((each) =>
      each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each]] : [],
    ),
  );
  const seen = new Set();
  const isConditional = ({ selectionSet }) =>
    selectionSet.selections.some((each) => {
      if (conditions(each).length) return true;
      if (each.kind === Kind.INLINE_FRAGMENT) return isConditional(each);
      if (each.kind === Kind.FIELD || seen.has(each.name.value)) return false;
      seen.add(each.name.value);
      const fragment = fragments.get(each.name.value);
      return fragment !== undefined && isConditional(fragment);
    });
  const found = definitions.some(
    (each) => each.operation === "subscription" && each.selectionSet && isConditional(each),
  );
  return found && "@skip or @include on a root field of a subscription";
}

// A nullable variable with a default may be the condition of @skip or @include. If it is given
// null, graphql-js makes the whole selection an error, which the specification does not ask for.
function hasNullCondition(document, variables) {
  let found = false;
  visit(document, {
    Directive(node) {
      if (!conditions({ directives: [node] }).length) return;
      const { value } = node.arguments.find(({ name }) => name.value === "if");
      if (value.kind === Kind.VARIABLE) found ||= variables[value.name.value] === null;
    },
  });
  return found;
}
