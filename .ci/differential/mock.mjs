// A server that is right by definition: graphql-js itself, with made-up data.
//
// The suite must pass against it. A value depends on the path of fields and arguments to it, and
// on no alias. Some values are null, and some fields fail.
import {
  execute,
  getNullableType,
  isCompositeType,
  isEnumType,
  isAbstractType,
  isListType,
  isNonNullType,
  parse,
  validate,
} from "graphql";
import { Random } from "./random.mjs";
import { RULES } from "./verdict.mjs";

function numberOf(text) {
  let number = 0;
  for (const character of text) number = (Math.imul(number, 31) + character.codePointAt(0)) | 0;
  return number;
}

function valueOf(schema, type, key, mayBeNull = !isNonNullType(type)) {
  const random = new Random(numberOf(key));
  if (mayBeNull && random.chance(0.15)) return null;
  const nullable = getNullableType(type);
  if (isListType(nullable)) {
    return Array.from({ length: random.below(4) }, (_, n) =>
      valueOf(schema, nullable.ofType, `${key}.${n}`),
    );
  }
  if (isCompositeType(nullable)) {
    const types = isAbstractType(nullable) ? schema.getPossibleTypes(nullable) : [nullable];
    return { __typename: random.pick(types).name, key };
  }
  if (isEnumType(nullable)) return random.pick(nullable.getValues()).value;
  const scalars = { Int: random.below(100), Boolean: random.chance(0.5) };
  return scalars[nullable.name] ?? `${nullable.name} ${random.below(1000)}`;
}

const errorsOf = (errors, code) => errors.map(({ message }) => ({ message, extensions: { code } }));
const refused = (errors, code) => JSON.stringify({ errors: errorsOf(errors, code) });

// Returns a function that takes a request and returns the text of the response. `rules` are those
// that it checks.
export function mockServer(schema, rules = RULES) {
  // The posts that were created, and a mutation that fails, are for the test of mutations.
  let posts = 0;
  const fieldResolver = (source, args, _context, { fieldName, parentType, returnType }) => {
    if (fieldName === "createPost") posts++;
    if (fieldName === "postsCount") return posts;
    const key = `${source?.key ?? ""}/${fieldName}${JSON.stringify(args)}`;
    const isMutation = parentType === schema.getMutationType();
    const fails = isMutation ? args.id === "?" : numberOf(`error${key}`) % 40 === 0;
    if (fails) throw new Error(`${fieldName} failed`);
    return valueOf(schema, returnType, key, fieldName === "viewer" ? false : undefined);
  };
  return async ({ query, variables, operationName }) => {
    let document;
    try {
      document = parse(query);
    } catch (error) {
      return refused([error], "GRAPHQL_PARSE_FAILED");
    }
    const errors = validate(schema, document, rules, { maxErrors: 1 });
    if (errors.length) return refused(errors, "GRAPHQL_VALIDATION_FAILED");
    const variableValues = JSON.parse(variables ?? "null") ?? {};
    const result = await execute({
      schema,
      document,
      variableValues,
      operationName,
      fieldResolver,
    });
    if (!("data" in result)) return refused(result.errors, "GRAPHQL_VALIDATION_FAILED");
    const errorList = result.errors && errorsOf(result.errors, "FIELD");
    return JSON.stringify({ data: result.data, errors: errorList });
  };
}
