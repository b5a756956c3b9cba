// External identity against a real provider: oidc-provider, with TLS and a private authority.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql PROVIDER_PORT=9000 PROVIDER_FILES=folder \
//       NODE_EXTRA_CA_CERTS=folder/ca.pem node --test identity.mjs
//
// The server runs with
//     --oidc-issuer https://localhost:9000 --oidc-audience https://rookery.example.com
//     --oidc-ca-file folder/ca.pem --password-login off
//
// The order of the tests matters: the server fetches keys at most four times a minute.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SignJWT, UnsecuredJWT, decodeJwt, importJWK } from "jose";
import {
  AUDIENCE,
  ISSUER,
  OTHER_AUDIENCE,
  clientToken,
  listen,
  login,
  newKey,
  newProvider,
} from "./provider.mjs";

const url = process.env.ROOKERY_URL;
assert(url, "set ROOKERY_URL to the address of /graphql");

const LIMIT = { timeout: 60_000 };
const VIEWER = "{ viewer { email user { id username displayName } } }";

async function request(token, query = VIEWER) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ query }),
  });
  return { status: response.status, ...(await response.json()) };
}

async function assertRejected(token) {
  const { status, data, errors } = await request(token);
  assert.equal(status, 401);
  assert.equal(data, undefined);
  assert.equal(errors.length, 1);
  const { message, extensions } = errors[0];
  assert.deepEqual(extensions, { code: "UNAUTHENTICATED" });
  assert.equal(message, "The token is not valid or has expired. Log in again.");
}

// A token as the provider would sign it, with other claims or another header.
async function forge(key, claims, header) {
  const now = Math.floor(Date.now() / 1000);
  const all = { iss: ISSUER, aud: AUDIENCE, sub: "mallory", iat: now, exp: now + 300, ...claims };
  return new SignJWT(all)
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: "at+jwt", ...header })
    .sign(await importJWK(key));
}

let first, second, server;

before(async () => {
  first = await newKey("first", "RS256");
  second = await newKey("second", "ES256");
  server = await listen(newProvider(first));
});

after(() => server.close());

test("a user who logs in at the provider is signed in", LIMIT, async () => {
  const { access_token: token } = await login("susan");
  const { data } = await request(token);
  const { user, email } = data.viewer;
  assert.equal(user.username, "susan");
  assert.equal(user.displayName, "The user susan");
  assert.equal(email, "susan@example.com");
  const again = await login("susan");
  assert.notEqual(again.access_token, token);
  assert.deepEqual((await request(again.access_token)).data.viewer, data.viewer);
  assert.equal(server.fetches(), 1);
});

test("a program signs in with its own credentials", LIMIT, async () => {
  const { data } = await request((await clientToken()).access_token);
  assert.equal(data.viewer.user.username, "user");
});

test("a token for another audience is rejected", LIMIT, async () => {
  await assertRejected((await login("mary", OTHER_AUDIENCE)).access_token);
  await assertRejected((await clientToken(OTHER_AUDIENCE)).access_token);
});

test("an id token is rejected: its audience is the app", LIMIT, async () => {
  const { id_token: token } = await login("mary");
  assert.equal(decodeJwt(token).aud, "app");
  await assertRejected(token);
});

test("an expired token is rejected", LIMIT, async () => {
  const now = Math.floor(Date.now() / 1000);
  assert.equal((await request(await forge(first, { sub: "control" }))).status, 200);
  await assertRejected(await forge(first, { exp: now - 120 }));
  await assertRejected(await forge(first, { nbf: now + 600 }));
});

test("a token of a foreign provider is rejected", LIMIT, async () => {
  const foreign = await newKey("first", "RS256");
  await assertRejected(await forge(foreign));
  await assertRejected(await forge(first, { iss: "https://other.example.com" }));
  await assertRejected(await forge(foreign, {}, { jwk: { kty: "RSA", n: foreign.n, e: "AQAB" } }));
});

test("an unsigned token and one with alg none are rejected", LIMIT, async () => {
  const { access_token: valid } = await login("susan");
  const [header, claims] = valid.split(".");
  await assertRejected(`${header}.${claims}.`);
  const unsecured = new UnsecuredJWT({ ...decodeJwt(valid), sub: "susan" }).encode();
  await assertRejected(unsecured);
  await assertRejected(`${unsecured}${valid.split(".")[2]}`);
});

test("a token that is signed with the public key as a secret is rejected", LIMIT, async () => {
  const { keys } = await (await fetch(`${ISSUER}/jwks`)).json();
  const secret = new TextEncoder().encode(JSON.stringify(keys[0]));
  const now = Math.floor(Date.now() / 1000);
  const token = await new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: "susan", exp: now + 300 })
    .setProtectedHeader({ alg: "HS256", kid: "first" })
    .sign(secret);
  await assertRejected(token);
});

test("passwords are disabled", LIMIT, async () => {
  const { access_token: token } = await login("susan");
  const mutation = `mutation { login(input: {username: "susan", password: "x"}) {
    userErrors { code } } }`;
  const { data } = await request(token, mutation);
  assert.deepEqual(data.login.userErrors, [{ code: "PASSWORD_LOGIN_DISABLED" }]);
});

test("after a rotation the new key is found and the old one is not accepted", LIMIT, async () => {
  const { access_token: before } = await login("susan");
  const { data } = await request(before);
  const fetches = server.fetches();
  server.replace(newProvider(second));
  const { access_token: token } = await login("susan");
  assert.deepEqual((await request(token)).data, data);
  assert.equal(server.fetches(), fetches + 1);
  await assertRejected(await forge(first));
  assert.deepEqual((await request(before)).data, data, "its session lasts until it expires");
});
