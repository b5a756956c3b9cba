// String and number literals: the server reads the value that graphql-js reads.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql node --test literals.mjs
//
// A string is written into the body of a post, inline or as the default of a variable, and read
// back. A number is the size of an avatar, which is part of the picture's address.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { parseValue } from "graphql";
import { Random, SEED } from "./random.mjs";
import { schema } from "./schema.mjs";
import { data, httpServer, inParallel, resultOf, url } from "./server.mjs";
import { verdict } from "./verdict.mjs";

assert(url, "set ROOKERY_URL to the address of /graphql");

const RANDOM_LITERALS = 300;
const WIDTH = 4;
const MAX_SHOWN = 10;
const MAX_SIZE = 2048;

async function register() {
  const username = `literals_${randomBytes(6).toString("hex")}`;
  const input = { username, email: `${username}@example.com`, password: "correct horse battery" };
  const mutation = "mutation ($input: RegisterInput!) { register(input: $input) { token } }";
  const { token } = (await data(httpServer(), mutation, { input })).register;
  return httpServer(token);
}
const send = await register();

// What the server stores of a body, or null if it does not accept it. A line end is one character.
// Of control characters, only newline and tab are allowed. A blank body is not.
function stored(value) {
  const text = value.replaceAll("\r\n", "\n");
  const isAccepted = /[^\p{White_Space}]/u.test(text) && !/[^\P{Cc}\n\t]/u.test(text);
  return isAccepted ? text : null;
}

const FIELDS = "{ post { body } userErrors { code } }";
const documents = (raw) => [
  `mutation { createPost(input: {body: ${raw}}) ${FIELDS} }`,
  `mutation ($body: String! = ${raw}) { createPost(input: {body: $body}) ${FIELDS} }`,
  `mutation ($input: CreatePostInput! = {body: ${raw}}) { createPost(input: $input) ${FIELDS} }`,
];

// What differs for the literal, or undefined.
async function difference(raw) {
  for (const query of documents(raw)) {
    const request = { query };
    const expected = verdict(schema, request);
    const text = await send(request);
    const { result } = resultOf(text, request);
    const label = `${JSON.stringify(raw)} in ${query.slice(0, 30)}…`;
    if (result !== expected.result) return `${label}: ${result}, not ${expected.result}: ${text}`;
    if (result === "refused") continue;
    const { post, userErrors } = JSON.parse(text).data.createPost;
    const [body, wanted] = [post?.body ?? null, stored(parseValue(raw).value)];
    const isRight = body === wanted && userErrors.length === Number(wanted === null);
    if (!isRight) return `${label}: ${JSON.stringify(body)}, not ${JSON.stringify(wanted)}`;
  }
  return undefined;
}

// Fails with the literals that are read in another way.
async function checkStrings(literals) {
  const differences = (await inParallel(literals, WIDTH, difference)).filter(Boolean);
  const shown = differences.sort((a, b) => a.length - b.length).slice(0, MAX_SHOWN);
  const count = `${differences.length} of ${literals.length} differ`;
  assert.equal(differences.length, 0, [count, ...shown].join("\n"));
}

// A random literal of the pieces.
const random = (quote, pieces) =>
  Array.from({ length: RANDOM_LITERALS }, (_, n) => {
    const numbers = new Random(SEED, n, quote.length);
    const inner = Array.from({ length: numbers.between(1, 8) }, () => numbers.pick(pieces));
    return quote + inner.join("") + quote;
  });

const words = (text) => text.trim().split(/[ \n]+/);
const quoted = (texts) => texts.map((text) => `"x${text}y"`);
const BACKSLASH = "\\";
const ASCII = Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n));
const SIMPLE_ESCAPES = words(String.raw`" \ / b f n r t`);

const FOUR_DIGITS = words(String.raw`
  \u0041 \u00e9 \u00E9 \u20AC \u0009 \u000A \u000a\u000d \u0000 \u0008 \u001f \u007f \u0080 \u0085
  \u009f \u00a0 \u0022 \u005c \u005cn \uFFFD \uFFFE \uFFFF \uFEFF \uE000 \uD7FF \u00410 \u \u0 \u004
  \u004g \U0041 \u+041 \u-041`);
const SURROGATES = words(String.raw`
  \ud83d\udc26 \uD83D\uDC26 \uD83d\uDc26 \uD800\uDC00 \uDBFF\uDFFF \ud83d\udc26\ud83d\udc26
  \ud83d\ud83d\udc26 \ud83d \udc26 \uDC26\uD83D \ud83d-\udc26 \ud83dx \ud83d\n \ud83d\u0041
  \ud83d\u{dc26} \u{d83d}\udc26 \u{D83D}\u{DC26} \u{D800} \u{DFFF} \ud83d\u{1F426}`);
const ANY_DIGITS = words(String.raw`
  \u{41} \u{0041} \u{000041} \u{00000041} \u{1F426} \u{1f426} \u{a} \u{9} \u{0} \u{7F} \u{D7FF}
  \u{E000} \u{FFFF} \u{10FFFF} \u{110000} \u{FFFFFFFF} \u{123456789} \u{} \u{g} \u{41 \u{+41}
  \u{-41} \u{4_1} \u{{41}} \u{41}{41}`);
const CHARACTERS = [
  ..."é 🐦 👩‍👩‍👧 # { } $a ' ` \u00a0 \u2028 \u2029 \ufeff \ufffd \ufffe \u{10ffff}".split(" "),
  ..."\t,\n,\r,\r\n,\u0000,\u0007,\u000b,\u001f,\u007f,\u0085,# not a comment".split(","),
];
const STRING_PIECES = [
  ...words(String.raw`
  a é 🐦 # \n \t \\ \" \/ \u0041 \u{1F426} \ud83d\udc26 \u00e9 \u{a} u0041 n`),
  " ",
  "\t",
];

describe("strings", () => {
  test("each character after a backslash", () =>
    checkStrings(quoted(ASCII.map((character) => BACKSLASH + character))));

  test("each printable ASCII character", () => checkStrings(quoted(ASCII)));

  test("each escape beside others", () => {
    const escapes = SIMPLE_ESCAPES.map((each) => BACKSLASH + each);
    return checkStrings(quoted(escapes.flatMap((one) => escapes.map((two) => one + two))));
  });

  test("escapes by four digits", () => checkStrings(quoted(FOUR_DIGITS)));
  test("surrogates", () => checkStrings(quoted([...SURROGATES, "\\ud83d \\udc26"])));

  test("escapes by any number of digits", () =>
    checkStrings(quoted([...ANY_DIGITS, "\\u{ 41}", "\\u{41 }", "\\u {41}"])));

  test("characters as themselves", () => checkStrings(quoted(CHARACTERS)));

  test("ends", () =>
    checkStrings([...words(String.raw`" "" "\" "a "a\ "a\" "a\\" "a""b" 'a'`), '" "', '"a" "b"']));

  test("random strings", () => checkStrings(random('"', STRING_PIECES)));
});

// Block strings, with N for a newline, R for a carriage return, T for a tab and _ for a space.
const blocks = (text) =>
  words(text).map((word) => word.replace(/[NRT_]/g, (letter) => CONTROLS[letter]));
const CONTROLS = { N: "\n", R: "\r", T: "\t", _: " " };

const INDENTATIONS = blocks(`
  """a""" """_a""" """a_""" """N__aN__bN""" """N__aN____bN__cN""" """aN__bN__c""" """NTaNTTbN"""
  """N_TaN_T_bN""" """__aN____bN__c""" """N____aN__bN""" """aNb""" """NN__aNN__bNN"""
  """N__aN_N__bN""" """N__aN____N__bN""" """N__aNTN__b""" """N__a__N__bTN""" """___N__aN___"""
  """N____N__N_aN""" """aN""" """Na""" """N__aN___b""" """xNNNN""" """N\u00a0aN_b""" """N\u3000a"""
  """N__éN___🐦N"""`);
const BLANKS = blocks('"""""" """N""" """___""" """N__NTN""" """_RN_R_"""');
const LINE_ENDS = blocks(`
  """aRNb""" """aRb""" """aNRb""" """aRRNb""" """RN__aRN__bRN""" """R__aR__bR""" """aRNRNb"""
  """NRN__aR__bN""" """a\u2028b""" """a\u0085b""" """a\\r\\nb"""`);
const QUOTES = blocks(String.raw`
  """a_"_b""" """a_""_b""" """a_\"""_b""" """\"""""" """a\"""""" """\"""a\"""""" """a"""_"""b"""
  """a"""" """a""""" """"a""" """""a""" """a\""" """a\\""" """\n""" """a\"b""" """a\""b"""
  """a\\"""_b""" """\u0041""" """\u{41}\ud83d""" """\x\""" """a """a" """a"" """ """" """""
  """#aN#b""" """\N""" """a_\\\"""_b"""`);
const BLOCK_PIECES = [
  ...blocks(String.raw`a b _ __ ____ T N N N__ N____ RN R NN _N N_T " \""" \ \n é 🐦 #`),
];

describe("block strings", () => {
  test("indentation", () => checkStrings(INDENTATIONS));
  test("blank", () => checkStrings(BLANKS));
  test("line ends", () => checkStrings(LINE_ENDS));
  test("quotes and backslashes", () => checkStrings(QUOTES));

  test("control characters", () => {
    const characters = ["\u0000", "\u0007", "\t", "\u000b", "\u000c", "\u001f", "\u007f", "\ufeff"];
    return checkStrings(characters.map((each) => `"""a${each}b"""`));
  });

  test("random block strings", () => checkStrings(random('"""', BLOCK_PIECES)));
});

describe("numbers", () => {
  const LITERALS = [
    ...words(`1 2048 64 0 -0 -1 2049 2147483647 -2147483648 2147483648 -2147483649 4294967297
      9007199254740993 9223372036854775808 99999999999999999999 1.0 1.5 1e1 1E1 -1e0 0.0 64.0e0
      00 01 -01 +1 1. .5 1e 1e+ 0x40 1_000 1a 64é - --1 "64" true null [64] [] {} INFINITY NaN
      64, (64) 64# ６４`),
    ...["- 1", "64 65", "\ufeff64"],
  ];
  // JSON has other numbers than GraphQL: a whole number may have a fraction and an exponent.
  const JSON_TEXTS = words(`1 64 64.0 6.4e1 640e-1 64.000 6400E-2 0.64e+2 -0 -0.0 0 2049 2147483647
    2147483647.0 -2147483648 2147483648 2147483648.0 1e9 1e10 1e300 64.5 1e-1 64.00000000000001
    4294967360 9007199254740993 99999999999999999999 "64" true [64] [] {} null`);

  // The size in the address of the picture, or the code of the error.
  const outcome = (text) => {
    const { data, errors } = JSON.parse(text);
    const avatar = data?.viewer?.user.avatarUrl;
    return avatar ? Number(new URL(avatar).searchParams.get("s")) : errors[0].extensions.code;
  };
  const right = (size) => (size >= 1 && size <= MAX_SIZE ? size : "ARGUMENT_OUT_OF_RANGE");

  const checkNumber = async (request, size) => {
    const text = await send(request);
    const expected = verdict(schema, request);
    const label = `${JSON.stringify(request)} gives ${text}`;
    assert.equal(resultOf(text, request).result, expected.result, label);
    if (size !== undefined && expected.result === "ok")
      assert.equal(outcome(text), right(size), label);
  };

  for (const literal of LITERALS) {
    test(`avatarUrl(size: ${literal})`, async () => {
      const size = /^-?\d+$/.test(literal) ? Number(literal) : undefined;
      await checkNumber({ query: `{ viewer { user { avatarUrl(size: ${literal}\n) } } }` }, size);
      const head = `query ($size: Int = ${literal}\n)`;
      const query = `${head} { viewer { user { avatarUrl(size: $size) } } }`;
      // A null at this argument is an error of the field.
      await checkNumber({ query }, size);
    });
  }

  for (const variables of JSON_TEXTS) {
    test(`{"size": ${variables}}`, async () => {
      const query = "query ($size: Int!) { viewer { user { avatarUrl(size: $size) } } }";
      const size = Number(variables);
      await checkNumber({ query, variables: `{"size": ${variables}}` }, size);
    });
  }
});
