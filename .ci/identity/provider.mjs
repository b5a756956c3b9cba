// The identity provider of the suite: the package oidc-provider, on a port with TLS.
//
// PROVIDER_PORT   the port, which the server under test knows from --oidc-issuer
// PROVIDER_FILES  the folder with provider.pem and provider.key
//
// Node.js trusts the certificate through NODE_EXTRA_CA_CERTS.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createHash, randomBytes } from "node:crypto";
import { exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

const { PROVIDER_PORT: port, PROVIDER_FILES: files } = process.env;
assert(port && files, "set PROVIDER_PORT and PROVIDER_FILES");

export const ISSUER = `https://localhost:${port}`;
export const AUDIENCE = "https://rookery.example.com";
export const OTHER_AUDIENCE = "https://other.example.com";

const CLIENT = { client_id: "app", client_secret: "the secret of the app" };
const REDIRECT = "https://app.example.com/callback";

// A private key as a JSON Web Key.
export async function newKey(kid, alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg, use: "sig" };
}

// A provider with one key. It signs access tokens as JWT for both audiences.
export function newProvider(key, issuer = ISSUER) {
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    cookies: { keys: ["the key of the cookies"] },
    clients: [
      {
        ...CLIENT,
        redirect_uris: [REDIRECT],
        grant_types: ["authorization_code", "client_credentials"],
        id_token_signed_response_alg: key.alg,
      },
    ],
    claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email"] },
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          audience: resource,
          scope: "social",
          accessTokenTTL: 300,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: key.alg } },
        }),
      },
    },
    // The claims of a user in the access token.
    extraTokenClaims: (_, { accountId }) =>
      accountId && {
        preferred_username: accountId,
        name: `The user ${accountId}`,
        email: `${accountId}@example.com`,
      },
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    ttl: { Interaction: 300, Session: 300, Grant: 300, IdToken: 300, AuthorizationCode: 60 },
    pkce: { required: () => true },
  });
  return provider;
}

// The port of the issuer, whose provider can be replaced by one with other keys.
export async function listen(provider) {
  let handle = provider.callback();
  let fetches = 0;
  const tls = {
    cert: readFileSync(`${files}/provider.pem`),
    key: readFileSync(`${files}/provider.key`),
  };
  const server = createServer(tls, (request, response) => {
    if (request.url === "/jwks") fetches += 1;
    handle(request, response);
  });
  await new Promise((resolve) => server.listen(port, resolve));
  return {
    replace: (other) => (handle = other.callback()),
    fetches: () => fetches,
    close: () => server.close(),
  };
}

// The access token of the app itself, which has no user.
export async function clientToken(resource = AUDIENCE) {
  const grant = { grant_type: "client_credentials", resource, scope: "social" };
  return token(grant);
}

// Logs a user in as a browser would, and returns the access token and the id token.
export async function login(name, resource = AUDIENCE) {
  const cookies = new Map();
  const verifier = randomBytes(32).toString("base64url");
  const query = new URLSearchParams({
    client_id: CLIENT.client_id,
    response_type: "code",
    redirect_uri: REDIRECT,
    scope: "openid social",
    resource,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
  });
  let address = new URL(`${ISSUER}/auth?${query}`);
  let form;
  for (let step = 0; step < 12 && !address.href.startsWith(REDIRECT); step += 1) {
    const response = await fetch(address, {
      method: form ? "POST" : "GET",
      body: form && new URLSearchParams(form),
      headers: { cookie: [...cookies].map((pair) => pair.join("=")).join("; ") },
      redirect: "manual",
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, key, value] = cookie.match(/^([^=]+)=([^;]*)/);
      if (value) cookies.set(key, value);
      else cookies.delete(key);
    }
    form = undefined;
    if (response.headers.has("location")) {
      address = new URL(response.headers.get("location"), address);
      continue;
    }
    // A page with a form: of the login, or of the consent.
    const page = await response.text();
    const prompt = page.match(/name="prompt" value="(\w+)"/)?.[1];
    assert(prompt, `no form at ${address}: ${page}`);
    form = { prompt, login: name, password: "any" };
    address = new URL(page.match(/action="([^"]+)"/)[1], address);
  }
  const code = address.searchParams.get("code");
  assert(code, `no code at ${address}`);
  const grant = { grant_type: "authorization_code", code, redirect_uri: REDIRECT, resource };
  return token({ ...grant, code_verifier: verifier });
}

async function token(grant) {
  const { client_id, client_secret } = CLIENT;
  const secret = [client_id, client_secret].map(encodeURIComponent).join(":");
  const response = await fetch(`${ISSUER}/token`, {
    method: "POST",
    body: new URLSearchParams(grant),
    headers: { authorization: `Basic ${Buffer.from(secret).toString("base64")}` },
  });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body;
}
