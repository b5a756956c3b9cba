// GraphQL over plain HTTP, for the requests that a suite needs besides those that it checks.
//
// ROOKERY_URL is the address of the server: http://127.0.0.1:8000/graphql
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

export const url = process.env.ROOKERY_URL;
assert(url, "set ROOKERY_URL to the address of /graphql");

// The options of a test: it fails after 20 s.
export const LIMIT = { timeout: 20_000 };

export const PASSWORD = "correct horse battery";
export const FOLLOW =
  "mutation ($username: String!) { follow(user: {username: $username}) { changed } }";
export const FOLLOW_COUNTS =
  "subscription ($userId: ID!) { followCounts(userId: $userId) { followersCount } }";
export const LOGIN =
  "mutation ($input: LoginInput!) { login(input: $input) { userErrors { message } } }";
export const TIMELINE = `subscription ($after: String) {
  timelineEvents(after: $after) { ... on TimelinePostAdded { edge { node { id } } } } }`;

// Sends a request and returns the response, which may contain errors.
export async function request(token, query, variables) {
  const authorization = token && { authorization: `Bearer ${token}` };
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

// Sends a request and returns the data. A response with errors fails the test.
export async function execute(token, query, variables) {
  const { data, errors } = await request(token, query, variables);
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

export async function register() {
  const username = `contract_${randomBytes(6).toString("hex")}`;
  const input = { username, email: `${username}@example.com`, password: PASSWORD };
  const mutation = `mutation ($input: RegisterInput!) {
    register(input: $input) { token viewer { user { id } } userErrors { message } } }`;
  const { token, viewer, userErrors } = (await execute(null, mutation, { input })).register;
  assert.deepEqual(userErrors, []);
  return { username, token, id: viewer.user.id };
}

export async function follow({ token }, { username }) {
  await execute(token, FOLLOW, { username });
}

// Returns the id of the new post.
export async function createPost({ token }, body) {
  const create = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }";
  return (await execute(token, create, { body })).createPost.post.id;
}

export async function logout({ token }) {
  await execute(token, "mutation { logout { changed } }");
}

export async function deleteAccount({ token }) {
  const mutation = `mutation { deleteAccount(input: {password: "${PASSWORD}"}) { changed } }`;
  await execute(token, mutation);
}

// The position of the user's timeline in the event stream. `TIMELINE` resumes after it without a
// gap.
export async function streamCursor({ token }) {
  const query = "{ viewer { user { timeline(first: 1) { streamCursor } } } }";
  return (await execute(token, query)).viewer.user.timeline.streamCursor;
}
