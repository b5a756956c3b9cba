// Mutations of tokens and characters.
import { rawString, rawValue } from "../syntax.mjs";

const isWord = (token) => /^\w+$/.test(token);
const isNumber = (token) => /^-?\d/.test(token);
const isBracket = (token) => /^[()[\]{}]$/.test(token);
const ADDED = [
  ..."!$&()*+,-./:;<=>?@[]^`{|}~%#\\'\"".split(""),
  ..."\u0000 \u0007 \u000b \u000c \u007f \u00a0 \u2028 \u3000 \u200b é ß 🐦 0 _ a".split(" "),
  ...["...", "..", '"""', "on", "null", "true", "fragment", "query", "1", "-1", "1.5", '"a"', "$a"],
];

// Replaces a string literal, or puts one in the place of any value.
const literal = (raws) => (m) => {
  const site =
    m.pick("values", ({ type }) => ["String", "String!", "ID", "ID!"].includes(String(type))) ??
    m.pick("values");
  return site && m.replace(site, rawString(m.random.pick(raws)));
};

const number = (raws) => (m) => {
  const site =
    m.pick("values", ({ type }) => ["Int", "Int!", "ID", "ID!"].includes(String(type))) ??
    m.pick("values");
  return site && m.replace(site, rawValue(m.random.pick(raws)));
};

export const SYNTAX_KINDS = {
  "deleted token": (m) => m.splice(m.token(), 1),

  "duplicated token": (m) => {
    const at = m.token();
    return m.splice(at, 0, m.tokens[at]);
  },

  "swapped tokens": (m) => {
    const at = m.token((_, n) => n > 0);
    return m.splice(at - 1, 2, m.tokens[at], m.tokens[at - 1]);
  },

  "moved token": (m) => {
    const [token] = m.tokens.splice(m.token(), 1);
    return m.splice(m.token(), 0, token);
  },

  "another token": (m) => m.splice(m.token(), 1, m.random.pick(ADDED)),
  "added token": (m) => m.splice(m.token(), 0, m.random.pick(ADDED)),

  "added character": (m) => {
    const at = m.token();
    const token = m.tokens[at];
    const cut = m.random.below(token.length + 1);
    return m.splice(at, 1, token.slice(0, cut) + m.random.pick(ADDED) + token.slice(cut));
  },

  "deleted character": (m) => {
    const at = m.token((token) => token.length > 1);
    const token = m.tokens[at];
    const cut = m.random.below(token.length);
    return m.splice(at, 1, token.slice(0, cut) + token.slice(cut + 1));
  },

  "cut off": (m) => {
    const at = m.token((_, n) => n > 0);
    return m.splice(at, m.tokens.length - at);
  },

  "deleted bracket": (m) => m.splice(m.token(isBracket), 1),
  "added bracket": (m) => m.splice(m.token(), 0, m.random.pick("()[]{}".split(""))),
  "another bracket": (m) => m.splice(m.token(isBracket), 1, m.random.pick("()[]{}".split(""))),

  "query A()": (m) => {
    const types = ["query", "mutation", "subscription"];
    const at = m.token(
      (token, n) =>
        isWord(token) && types.includes(m.tokens[n - 1]) && /^[{@]$/.test(m.tokens[n + 1]),
    );
    return at !== undefined && m.splice(at + 1, 0, "(", ")");
  },

  "field with ()": (m) => {
    const at = m.token((token, n) => isWord(token) && n > 0 && m.tokens[n + 1] === "}");
    return at !== undefined && m.splice(at + 1, 0, "(", ")");
  },

  "words run together": (m) => {
    const at = m.token((token, n) => isWord(token) && isWord(m.tokens[n - 1] ?? ""));
    return at !== undefined && m.splice(at - 1, 2, m.tokens[at - 1] + m.tokens[at]);
  },

  "leading zeros": number(["00", "01", "-01", "007", "[00]", "00.5", "-00", "0123456789"]),
  "number followed by a name": number([
    "1a",
    "1_",
    "0x1F",
    "1e5f",
    "1.5a",
    "1é",
    "0_",
    "1.0.0",
    "1in",
  ]),
  "broken number": number([
    "1.",
    ".5",
    "1e",
    "1e+",
    "+1",
    "--1",
    "-",
    "1.e1",
    "-.5",
    "1..2",
    "0b1",
    "1,000",
  ]),

  "number before a bracket": (m) => {
    const at = m.token(isNumber);
    return (
      at !== undefined &&
      m.splice(at, 1, `${m.tokens[at]}${m.random.pick(["(", "$", ".", '"', "..."])}`)
    );
  },

  "lone surrogate as an escape": literal([
    ...['"\\ud83d"', '"\\uDC26"', '"\\uDC26\\uD83D"', '"\\ud83da"', '"\\uD83D\\uD83D\\uDC26"'],
    ...['"\\u{D83D}"', '"\\u{DFFF}"', '"\\uD83D\\u{DC26}"', '"\\u{D83D}\\uDC26"', '"\\uD83D\\n"'],
  ]),

  "surrogates as escapes": literal([
    ...[
      '"\\ud83d\\udc26"',
      '"\\uD83D\\uDC26\\uD83D\\uDC26"',
      '"\\u{1F426}"',
      '"\\u{01f426}"',
      '"\\u0041"',
    ],
    ...['"\\u{0}a"', '"\\u{10FFFF}"', '"\\u{D7FF}"', '"\\u{E000}"', '"\\uFFFF"', '"\\u0000a"'],
  ]),

  "lone surrogate": (m) => {
    const raw = m.random.pick(["\ud83d", "\udc26", "\udc26\ud83d"]);
    const texts = [`"${raw}"`, `"""${raw}"""`];
    return m.random.chance(0.5)
      ? literal(texts)(m)
      : m.splice(m.token(), 0, m.random.pick([raw, `#${raw}\n`]));
  },

  "unterminated string": literal([
    '"a',
    '"a\\"',
    '"',
    '"""a',
    '"""a"',
    '"""a""',
    '"""a\\"""',
    '"a\\',
    '"""',
  ]),
  "bad escape": literal([
    '"\\a"',
    '"\\x41"',
    '"\\u12"',
    '"\\u12G4"',
    '"\\U0041"',
    '"\\\'"',
    '"\\ "',
    '"\\0"',
    '"\\u+041"',
  ]),
  "bad code point": literal([
    '"\\u{}"',
    '"\\u{110000}"',
    '"\\u{G}"',
    '"\\u{41"',
    '"\\u{ 41}"',
    '"\\u{123456789}"',
    '"\\u{FFFFFFFF}"',
    '"\\u{000000041}"',
  ]),
  "line break in a string": literal([
    '"a\nb"',
    '"a\rb"',
    '"a\r\nb"',
    '"\n"',
    '"a\\\nb"',
    '"a\u2028b"',
    '"a\u0085b"',
  ]),
  "control character in a string": literal([
    '"\u0000"',
    '"\u0007"',
    '"\u001f"',
    '"a\tb"',
    '"\u007f"',
    '"""\u0001"""',
    '"""\u0000"""',
    '"\u0080"',
    '"""a\u000bb"""',
    '"\ufeff"',
  ]),
  "rows of quotes": literal([
    '""""',
    '""a',
    '"""""',
    '""""""',
    '"""""""',
    '""""a"""',
    '"""a""""',
    '"""a"""""',
    '"" ""',
    '"""\\""""""',
  ]),
  "block strings": literal([
    '"""\\"""',
    '"""\\""""',
    '"""a\\"""b"""',
    '"""\\u0041"""',
    '"""\\"""',
    '"""a\nb"""',
    '"""\r\n\r\n"""',
    '"""\\n"""',
    '"""\\\\"""',
    '"""\ta\n\t b\n"""',
  ]),

  "control character": (m) => {
    const characters = [
      "\u0000",
      "\u0001",
      "\u0008",
      "\u000b",
      "\u000c",
      "\u001b",
      "\u007f",
      "\u0080",
    ];
    const character = m.random.pick(characters);
    return m.splice(m.token(), 0, m.random.pick([character, `#${character}\n`]));
  },

  "white space of other kinds": (m) =>
    m.splice(
      m.token(),
      0,
      m.random.pick(["\u00a0", "\u2028", "\u2029", "\u3000", "\u0085", "\u200b", "\u2003"]),
    ),

  "byte order mark": (m) => m.splice(m.token(), 0, "\ufeff"),

  "name of other characters": (m) => {
    const at = m.token((token, n) => isWord(token) && n > 0);
    const token = m.random.pick([
      "naïve",
      "ünder",
      "a-b",
      "a.b",
      "имя",
      "a'",
      "1a",
      "a$b",
      "@a",
      "\\u0041",
    ]);
    return m.splice(at, 1, token);
  },

  "...on without a type": (m) => {
    const { node } = m.pick("sets");
    return m.insert(node.selections, {
      kind: "InlineFragment",
      typeCondition: {
        kind: "NamedType",
        name: { kind: "Name", value: m.random.pick(["{", "@skip(if: true) {"]) },
      },
      directives: [],
      selectionSet: { kind: "Name", value: "__typename }" },
    });
  },

  "broken type of a variable": (m) => {
    const site = m.pick("variables");
    const types = [
      "Int!!",
      "[Int",
      "Int]",
      "[Int]]",
      "[]",
      "!",
      "Int?",
      "[Int!]!!",
      "[[Int]",
      "Int Int",
      "[Int, Int]",
      '"Int"',
      "1",
      "<Int>",
    ];
    if (site) site.node.type = { kind: "Name", value: m.random.pick(types) };
    return site;
  },

  "broken variable definition": (m) => {
    const site = m.pick("variables");
    const texts = [
      "$a",
      "$a: Int =",
      "a: Int",
      "$a Int",
      "$$a: Int",
      "$ a: Int",
      "$a: Int = 1 2",
      "$1: Int",
      "$a: Int: Int",
      "$a = 1: Int",
    ];
    return site && m.replace(site, { kind: "Name", value: m.random.pick(texts) });
  },

  "description in a wrong place": (m) => {
    const description = m.random.pick(['"text"', '"""text"""']);
    return m.splice(m.token(), 0, description);
  },

  "description before a definition": (m) => {
    const words = ["query", "mutation", "subscription", "fragment", "{"];
    const at = m.token((token, n) => words.includes(token) && (n === 0 || m.tokens[n - 1] === "}"));
    return m.splice(at, 0, m.random.pick(['"text"', '"""text"""', "'text'", '"a" "b"', "text"]));
  },

  "syntax of other editions and servers": (m) => {
    const { node } = m.pick("sets");
    const texts = [
      "...",
      "... on",
      "...F()",
      "...F(a: 1)",
      "a?",
      "a!",
      "a[]",
      "a: b: c",
      ":a",
      "a:",
      "$a",
      "a = 1",
      "a { b } { c }",
      "a() { b }",
      "a(b) { c }",
      "a(b: ) { c }",
      "a(b = 1)",
      "a(: 1)",
      "a(b: 1; c: 2)",
      "@skip(if: true)",
      "a @",
      "a @skip(if: true",
      "a @ skip (if : true)",
      "* ",
      "a as b",
      "...on User@a{id}",
    ];
    return m.insert(node.selections, { kind: "Name", value: m.random.pick(texts) });
  },

  "fragment with variables": (m) => {
    const site = m.pick("fragments");
    if (site) site.node.name.value += m.random.pick(["($a: Int)", "($a: Int = 1)", "()"]);
    return site;
  },

  "fragment with a broken head": (m) => {
    const at = m.token((token, n) => token === "on" && m.tokens[n - 2] === "fragment");
    return m.splice(
      at,
      1,
      m.random.pick(["On", "ON", ":", "", "on on", "on :", "on @skip(if: true)"]),
    );
  },
};
