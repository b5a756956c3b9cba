// Values of input types: as literals for a document, and as JSON text for variables.
//
// JSON is written as text, because JSON.stringify would print the number 20.0 as 20.
import {
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
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
} from "./syntax.mjs";

// Values that exist in the data, by the name of the argument or input field.
export const DEFAULT_POOL = {
  ids: ["U:1", "P:1", "U:2", "nothing"],
  usernames: ["john", "susan", "nobody"],
  cursors: ["", "AAAA"],
  typeNames: ["User", "Node", "UserBy", "FollowState", "DateTime", "TimelineEvent", "__Type", "No"],
};
const POOLS = {
  id: "ids",
  ids: "ids",
  userId: "ids",
  userIds: "ids",
  postId: "ids",
  inReplyToId: "ids",
  upTo: "ids",
  username: "usernames",
  usernamePrefix: "usernames",
  after: "cursors",
  before: "cursors",
  cursor: "cursors",
  name: "typeNames",
};
// Page sizes are small, because the server bounds the cost of a document.
const SMALL_NUMBERS = { first: 5, last: 5, size: 2048, cap: 1000 };

// The value that a field of this name probably accepts.
function likely(type, key, pool, random) {
  if (type.name === "Int") return random.between(1, SMALL_NUMBERS[key] ?? 100);
  if (type.name === "Boolean") return random.chance(0.5);
  const texts = pool[POOLS[key]];
  return texts?.length ? random.pick(texts) : random.pick(["a", "text", "Grüße 🐦", "two\nlines"]);
}

const hex = (unit, digits) => unit.toString(16).padStart(digits, "0");
const ESCAPES = { "\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\", "/": "\\/", "\r": "\\r" };

// The characters of a string: as themselves, by short escapes, or by their numbers.
const asItself = (character) => JSON.stringify(character).slice(1, -1);
const STYLES = {
  short: (character) => ESCAPES[character] ?? asItself(character),
  units: (character) => character.replace(/[^]/g, (unit) => `\\u${hex(unit.charCodeAt(0), 4)}`),
  points: (character, random) =>
    `\\u{${hex(character.codePointAt(0), random.between(1, 6)).toUpperCase()}}`,
};

// A literal of the text, as a string or, if it keeps the text, as a block string.
export function stringLiteral(text, random) {
  const canBeBlock = !/^\s|\s$|[\u0000-\u0008\u000b-\u001f\\"]/.test(text) && text !== "";
  if (!canBeBlock || random.chance(0.7)) {
    const escape = STYLES[random.weighted([15, ""], [3, "short"], [3, "units"], [1, "points"])];
    const characters = [...text].map((character) =>
      escape && random.chance(0.5) ? escape(character, random) : asItself(character),
    );
    return `"${characters.join("")}"`;
  }
  const margin = random.pick(["", "  ", "\t", "      "]);
  const lines = text.split("\n").map((line) => margin + line);
  const end = random.pick(["\n", "\r\n", "\r"]);
  return random.chance(0.5) && lines.length === 1
    ? `"""${text}"""`
    : `"""${end}${lines.join(end)}${end}${margin}"""`;
}

export class Values {
  constructor(random, pool) {
    this.random = random;
    this.pool = pool;
  }

  // A literal. `inner(type, key, place)` makes the values inside of lists and objects, so that
  // variables can stand there. `place` is what the position allows: see Generator.value.
  literal(type, key, inner) {
    const { random } = this;
    if (isNonNullType(type)) return this.literal(type.ofType, key, inner);
    if (isListType(type)) {
      if (random.chance(0.15)) return this.literal(type.ofType, key, inner);
      return listValue(this.#times(() => inner(type.ofType, key, {})));
    }
    if (isInputObjectType(type)) {
      const fields = this.#fields(type).map((field) => {
        const place = { hasDefault: field.defaultValue !== undefined, isOneOf: type.isOneOf };
        return objectField(field.name, inner(field.type, field.name, place));
      });
      return objectValue(fields);
    }
    if (isEnumType(type)) return enumValue(random.pick(type.getValues()).name);
    const value = likely(type, key, this.pool, random);
    switch (type.name) {
      case "Int":
        return intValue(value);
      case "Float":
        return intValue(value);
      case "Boolean":
        return booleanValue(value);
      case "ID":
        return random.chance(0.1)
          ? intValue(random.pick([0, -1, 7, "-0", "12345678901234567890"]))
          : rawString(stringLiteral(value, random));
      default:
        return rawString(stringLiteral(value, random));
    }
  }

  // A literal without variables.
  constant(type, key, place = {}) {
    const mayBeNull = !isNonNullType(type) && !place.isOneOf;
    if (mayBeNull && this.random.chance(0.1)) return nullValue;
    return this.literal(type, key, (...inner) => this.constant(...inner));
  }

  // JSON text of a value.
  json(type, key, mayBeNull = true) {
    const { random } = this;
    if (isNonNullType(type)) return this.json(type.ofType, key, false);
    if (mayBeNull && random.chance(0.12)) return "null";
    if (isListType(type)) {
      if (random.chance(0.15)) return this.json(type.ofType, key, false);
      return `[${this.#times(() => this.json(type.ofType, key)).join(random.pick([",", " , "]))}]`;
    }
    if (isInputObjectType(type)) {
      const fields = this.#fields(type).map(
        ({ name, type: inner }) => `"${name}":${this.json(inner, name, !type.isOneOf)}`,
      );
      return `{${fields.join(",")}}`;
    }
    if (isEnumType(type)) return JSON.stringify(random.pick(type.getValues()).name);
    const value = likely(type, key, this.pool, random);
    if (type.name === "Int") return this.#number(value);
    if (type.name === "ID" && random.chance(0.15)) return this.#number(random.between(0, 99));
    return JSON.stringify(value);
  }

  // Every notation of a whole number is the same number to a JavaScript program.
  #number(value) {
    if (this.random.chance(0.7)) return String(value);
    // JSON does not allow 00.
    const tenfold = value === 0 ? "0" : `${value}0`;
    return this.random.pick([`${value}.0`, `${value}e0`, `${tenfold}e-1`, `${value}.00E+0`, "-0"]);
  }

  #times(make) {
    return Array.from({ length: this.random.weighted([1, 0], [5, 1], [3, 2], [1, 3]) }, make);
  }

  // The fields of an input object to set: the required ones and some others, in any order.
  #fields(type) {
    const { random } = this;
    const fields = Object.values(type.getFields());
    if (type.isOneOf) return [random.pick(fields)];
    return random.shuffle(
      fields.filter((each) => isRequiredInputField(each) || random.chance(0.4)),
    );
  }
}
