// Requests over plain HTTP, for what a suite needs beside that which it checks.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

export const PASSWORD = "correct horse battery";
export const FOLLOW = "mutation ($username: String!) { follow(user: {username: $username}) { changed } }";
export const COUNTS = "subscription ($userId: ID!) { followCounts(userId: $userId) { followersCount } }";
export const TIMELINE = `subscription ($after: String) {
  timelineEvents(after: $after) { ... on TimelinePostAdded { edge { node { id } } } } }`;

export async function request(url, token, query, variables) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  return (await fetch(url, { method: "POST", headers, body: JSON.stringify({ query, variables }) })).json();
}

// The data; there must be no errors.
export async function ask(...asked) {
  const { data, errors } = await request(...asked);
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

export async function register(url) {
  const username = `contract_${randomBytes(6).toString("hex")}`;
  const input = { username, email: `${username}@example.com`, password: PASSWORD };
  const { register } = await ask(url, null, `mutation ($input: RegisterInput!) {
    register(input: $input) { token viewer { user { id } } userErrors { message } } }`, { input });
  assert.deepEqual(register.userErrors, []);
  return { username, token: register.token, id: register.viewer.user.id };
}

export async function write(url, { token }, body) {
  const create = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }";
  return (await ask(url, token, create, { body })).createPost.post.id;
}

// Where the user's timeline stands: `TIMELINE` after this misses nothing.
export async function cursor(url, { token }) {
  return (await ask(url, token, "{ viewer { user { timeline(first: 1) { streamCursor } } } }")).viewer.user.timeline.streamCursor;
}
