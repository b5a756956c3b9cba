// The embedded playground in Chromium, with no host but the server.
//
//     ROOKERY_URL=http://127.0.0.1:8000/graphql node --test playground.mjs
//
// The server runs with --demo. SCREENSHOTS names a folder for the screenshots of docs/images.
// CHROMIUM names another browser. The tests run in order: each starts where the last one left the
// page.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { illegible } from './legible.mjs';

const address = process.env.ROOKERY_URL;
assert(address, 'set ROOKERY_URL to the address of /graphql');
const folder = process.env.SCREENSHOTS;
const home = new URL('.', address).href;
const { hostname } = new URL(address);
const password = 'correct horse battery';
const LIMIT = { timeout: 60_000 };

// Polls for 5 s.
async function until(what, holds) {
  let last;
  for (const end = Date.now() + 5000; Date.now() < end; await sleep(50)) {
    try {
      if (await holds()) return;
    } catch (error) {
      last = error;
    }
  }
  throw last ?? new Error(`timeout: ${what}`);
}

// Requests of other users while the page is open.
async function execute(query, { token, variables } = {}) {
  const headers = {
    'content-type': 'application/json',
    ...(token && { authorization: `Bearer ${token}` }),
  };
  const body = JSON.stringify({ query, variables });
  const { data, errors } = await (await fetch(address, { method: 'POST', headers, body })).json();
  assert.equal(errors, undefined);
  return data;
}
async function logIn(username) {
  const document = 'mutation ($input: LoginInput!) { login(input: $input) { token } }';
  return (await execute(document, { variables: { input: { username, password } } })).login.token;
}
async function createPost(token, body) {
  const document = 'mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }';
  await execute(document, { token, variables: { body } });
}
/** Executes `like` or `repost`. */
async function react(token, field, id) {
  const document = `mutation ($id: ID!) { ${field}(postId: $id) { changed } }`;
  await execute(document, { token, variables: { id } });
}
// The tabs register the user "ada". Without that account, the tests can run again.
async function deleteAda() {
  const token = await logIn('ada');
  const document =
    'mutation ($password: String!) { deleteAccount(input: {password: $password}) { changed } }';
  if (token) await execute(document, { token, variables: { password } });
}

await deleteAda();
const john = await logIn('john');
const { __type: userType } = await execute(
  '{ __type(name: "User") { description fields { name description } } }',
);

// No host name resolves, and requests to other hosts are aborted and recorded.
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', `--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE ${hostname}`],
});
after(async () => {
  await browser.close();
  await deleteAda();
});
const context = await browser.newContext({
  viewport: { width: 1280, height: 800 },
  permissions: ['clipboard-read', 'clipboard-write'],
});
const outside = [];
const isOutside = (url) => url.hostname !== hostname;
await context.route(isOutside, (route) => (outside.push(route.request().url()), route.abort()));
await context.routeWebSocket(isOutside, (socket) => (outside.push(socket.url()), socket.close()));

const page = await context.newPage();
page.setDefaultTimeout(10_000);
const messages = [];
const failed = [];
page.on('pageerror', (error) => messages.push(error.message));
page.on('console', (message) => {
  // Each editor logs the name of its worker when it starts.
  if (message.type() === 'info' && message.text().startsWith('setup-workers/')) return;
  messages.push(message.text());
});
page.on('requestfailed', (request) =>
  failed.push(`${request.url()} ${request.failure().errorText}`),
);

const editors = page.locator('.graphiql-editor-tool .monaco-editor');
const query = page.locator('.graphiql-query-editor .monaco-editor');
const variables = editors.nth(0);
const headers = editors.nth(1);
const result = page.locator('.result-window .monaco-editor');
const plugin = page.locator('.graphiql-plugin');
const play = page.getByRole('button', { name: 'Execute query' });
const stop = page.getByRole('button', { name: 'Stop query' });
const button = (name) => page.getByRole('button', { name, exact: true });

/** Opens a tab, and waits until GraphiQL has read the name of its operation. */
async function open(tab) {
  await button(tab).click();
  await sleep(500);
}
async function select(editor) {
  await editor.click();
  await page.keyboard.press('Control+A');
}
async function read(editor) {
  await select(editor);
  await page.keyboard.press('Control+C');
  return page.evaluate(() => navigator.clipboard.readText());
}
async function write(editor, text) {
  await select(editor);
  await page.evaluate((copied) => navigator.clipboard.writeText(copied), text);
  await page.keyboard.press('Control+V');
}
/** Sets a token that overrides the one that the page got from a registration or a login. */
async function signIn(token) {
  await button('Headers').click();
  await write(headers, JSON.stringify({ Authorization: `Bearer ${token}` }));
}
/** Executes the query, and returns the response as soon as the pane shows all of it. */
async function run() {
  const [response] = await Promise.all([page.waitForResponse(address), play.click()]);
  const body = await response.json();
  await until('the pane shows the response', async () => {
    assert.deepEqual(JSON.parse(await read(result)), body);
    return true;
  });
  return body;
}
async function data() {
  const body = await run();
  assert.equal(body.errors, undefined, JSON.stringify(body.errors));
  return body.data;
}
async function errorCode() {
  const { errors } = await run();
  return errors[0].extensions.code;
}
async function screenshot(name) {
  if (!folder) return;
  const { default: sharp } = await import('sharp');
  await page.keyboard.press('Control+Home'); // clear the selection
  await page.evaluate(() => document.activeElement?.blur());
  await page.mouse.move(640, 795);
  await sleep(1500); // scroll bars and hints fade
  await sharp(await page.screenshot())
    .png({ palette: true, effort: 10 })
    .toFile(join(folder, `${name}.png`));
}

test(
  'the binary contains the page, and serves it with a strict content security policy',
  LIMIT,
  async () => {
    const response = await fetch(home);
    assert.match(await response.text(), /assets\//, 'this binary was built without npm');
    const policy = response.headers.get('content-security-policy') ?? '';
    for (const rule of [
      "default-src 'none'",
      "script-src 'self'",
      "connect-src 'self'",
      "frame-ancestors 'none'",
    ]) {
      assert(policy.split('; ').includes(rule), `${rule} is not in ${policy}`);
    }
  },
);
test('the page loads and shows the query of its first tab', LIMIT, async () => {
  await page.goto(home);
  assert.equal(await page.title(), 'Rookery playground');
  await query.getByText('Register').first().waitFor();
});

/** The text without Markdown and line breaks. */
const squeeze = (text) => text.replaceAll('`', '').replace(/\s+/g, ' ');
/** The first paragraph of a description. */
const summary = (description) => squeeze(description.split('\n\n')[0]);
const tabs = [
  'Register',
  'LogIn',
  'Follow',
  'Post',
  'Timeline',
  'React',
  'Reply',
  'Conversation',
  'Search',
  'Followers',
  'Live',
  'Inbox',
  'LiveInbox',
  'MarkRead',
  'Protect',
  'Accept',
  'Mute',
  'Block',
];
test('the page opens the tabs in order', LIMIT, async () => {
  assert.deepEqual(await page.locator('.graphiql-tab-button').allInnerTexts(), tabs);
});

test(
  'the documentation explorer shows User and its fields with their descriptions',
  LIMIT,
  async () => {
    await button('Show Documentation Explorer').click();
    await plugin.getByText('User', { exact: true }).click();
    await plugin.getByText(summary(userType.description)).waitFor();
    const shown = squeeze(await plugin.innerText());
    for (const { name, description } of userType.fields) {
      assert(shown.includes(name), name);
      assert(shown.includes(summary(description)), description);
    }
    await button('Hide Documentation Explorer').click();
  },
);

test('every line of the tabs fits beside the buttons', LIMIT, async () => {
  // A window of 1280 pixels has room for 50 characters.
  for (const name of tabs) {
    await open(name);
    const longest = Math.max(...(await read(query)).split('\n').map((line) => line.length));
    assert(longest <= 50, `${name} has a line of ${longest} characters`);
  }
});

let token;
test('Register returns a token', LIMIT, async () => {
  await open('Register');
  const { register } = await data();
  assert.deepEqual(register.userErrors, []);
  assert.equal(register.viewer.user.username, 'ada');
  token = register.token;
});

test('LogIn returns another token', LIMIT, async () => {
  await open('LogIn');
  const { login } = await data();
  assert.deepEqual(login.userErrors, []);
  assert.notEqual(login.token, token);
  token = login.token;
});

test('Follow with an invalid token in the Headers pane gets UNAUTHENTICATED', LIMIT, async () => {
  await open('Follow');
  await signIn('nonsense');
  assert.equal(await errorCode(), 'UNAUTHENTICATED');
});

test('Follow changes the graph the first time only', LIMIT, async () => {
  await write(headers, '');
  await button('Hide editor tools').click();
  const first = (await data()).follow;
  assert.deepEqual([first.changed, first.user.username, first.userErrors], [true, 'john', []]);
  const again = (await data()).follow;
  assert.deepEqual({ ...first, changed: false }, again);
});

let ownPost;
test('Post creates a post', LIMIT, async () => {
  await open('Post');
  const { createPost } = await data();
  assert.deepEqual([createPost.post.body, createPost.userErrors], ['Hello, rookery!', []]);
  ownPost = createPost.post.id;
});

let entry; // the newest post of john
test("Timeline shows the viewer's new post first, and john's posts", LIMIT, async () => {
  await open('Timeline');
  const { user } = (await data()).viewer;
  assert.equal(user.username, 'ada');
  const { edges } = user.timeline;
  assert.equal(edges[0].node.body, 'Hello, rookery!');
  assert.deepEqual(
    new Set(edges.map(({ node }) => node.author.username)),
    new Set(['ada', 'john']),
  );
  entry = edges.find(({ node }) => node.author.username === 'john');
  await screenshot('playground');
  await button('Show Documentation Explorer').click(); // User is still open there
  await plugin.getByText(summary(userType.description)).scrollIntoViewIfNeeded();
  await screenshot('schema');
  await button('Hide Documentation Explorer').click();
});

/** Opens a tab, and writes its variables. */
async function openWith(tab, values) {
  await open(tab);
  await button('Variables').click();
  await write(variables, JSON.stringify(values));
}

test('React likes and reposts the post of Variables', LIMIT, async () => {
  await openWith('React', { id: entry.node.id });
  const { like, repost } = await data();
  assert.deepEqual([like.post.viewerHasLiked, like.userErrors], [true, []]);
  assert.deepEqual([repost.post.viewerHasReposted, repost.userErrors], [true, []]);
});

test('Reply replies once with the same key, and mentions john', LIMIT, async () => {
  await openWith('Reply', { id: entry.node.id });
  const { post, userErrors } = (await data()).createPost;
  assert.deepEqual(
    [userErrors, post.inReplyTo.id, post.mentions[0].user.username],
    [[], entry.node.id, 'john'],
  );
  assert.deepEqual((await data()).createPost.post, post);
});

test('Conversation shows the reply', LIMIT, async () => {
  await openWith('Conversation', { id: entry.node.id });
  const { node } = await data();
  assert.equal(node.body, entry.node.body);
  assert.equal(node.replies.nodes.at(-1).body, 'Well said, @john!');
  assert.equal(node.reposters.nodes[0].username, 'ada');
});

test('Search finds posts and users', LIMIT, async () => {
  await open('Search');
  await button('Hide editor tools').click();
  const { searchPosts, searchUsers } = await data();
  assert.equal(searchPosts.nodes[0].body, 'Hello, rookery!');
  assert.equal(searchUsers[0].username, 'john');
});

test('Followers shows the newest follower first', LIMIT, async () => {
  await open('Followers');
  const { user } = await data();
  assert.equal(user.followers.edges[0].node.username, 'ada');
  assert.equal(user.followers.edges.length, 10);
});

test('Live with an invalid token gets UNAUTHENTICATED at once', LIMIT, async () => {
  await open('Live');
  await signIn('nonsense');
  assert.equal(await errorCode(), 'UNAUTHENTICATED');
});

const shows = (body) =>
  until(`the pane shows ${body}`, async () => {
    const { data: event } = JSON.parse(await read(result));
    return (
      event.timelineEvents.__typename === 'TimelinePostAdded' &&
      event.timelineEvents.edge.node.body === body
    );
  });
let aborted;
test('Live shows two new posts of a followed user', LIMIT, async () => {
  if (await stop.isVisible()) await stop.click();
  await write(headers, '');
  await button('Hide editor tools').click();
  const [response] = await Promise.all([page.waitForResponse(address), play.click()]);
  assert.equal(response.headers()['content-type'], 'text/event-stream');
  aborted = response.request();
  await createPost(john, 'The owls are out tonight.');
  await shows('The owls are out tonight.');
  await createPost(john, 'One of them just called back!');
  await shows('One of them just called back!');
  await screenshot('live');
});

test('the stop button ends the subscription', LIMIT, async () => {
  await stop.click();
  await play.waitFor();
  await until('the request ends', () => aborted.failure()?.errorText === 'net::ERR_ABORTED');
  await createPost(john, 'No client is subscribed.');
  await sleep(500);
  assert(!(await read(result)).includes('No client'));
});

test('Inbox lists a notification', LIMIT, async () => {
  await react(john, 'like', ownPost);
  await open('Inbox');
  const { viewer } = await data();
  const [{ type, actor, post }] = viewer.notifications.nodes;
  assert.deepEqual(
    [viewer.unreadNotificationsCount, type, actor.username, post.id],
    [1, 'LIKE', 'john', ownPost],
  );
});

test('LiveInbox shows a new notification', LIMIT, async () => {
  await open('LiveInbox');
  await Promise.all([page.waitForResponse(address), play.click()]);
  await react(john, 'repost', ownPost);
  await until('the pane shows the notification', async () => {
    const { data: event } = JSON.parse(await read(result));
    const { notification, unreadCount } = event.notificationEvents;
    return notification.type === 'REPOST' && unreadCount === 2;
  });
  await stop.click();
  await play.waitFor();
});

test('MarkRead marks the notifications and the timeline', LIMIT, async () => {
  await openWith('MarkRead', { cursor: entry.cursor });
  const { markNotificationsRead, markTimelineRead } = await data();
  assert.deepEqual(
    [markNotificationsRead.changed, markNotificationsRead.viewer.unreadNotificationsCount],
    [true, 0],
  );
  assert.deepEqual(
    [markTimelineRead.changed, markTimelineRead.timelineMarker],
    [true, entry.cursor],
  );
  await button('Hide editor tools').click();
});

test('Protect protects the account, and lists a request to follow', LIMIT, async () => {
  await open('Protect');
  const first = (await data()).updateProfile;
  assert.deepEqual([first.user.isProtected, first.userErrors], [true, []]);
  await execute('mutation { follow(user: {username: "ada"}) { changed } }', { token: john });
  const { viewer } = (await data()).updateProfile;
  assert.deepEqual(
    viewer.followRequests.edges.map(({ node }) => node.username),
    ['john'],
  );
});

test('Accept makes the request a follow', LIMIT, async () => {
  await open('Accept');
  const { changed, relationship } = (await data()).acceptFollowRequest;
  assert.deepEqual(
    [changed, relationship.followedBy, relationship.requestedBy],
    [true, true, false],
  );
});

test('Mute keeps the follow', LIMIT, async () => {
  await open('Mute');
  const { relationship, viewer } = (await data()).mute;
  assert.deepEqual([relationship.muting, relationship.followState], [true, 'FOLLOWING']);
  assert.equal(viewer.mutedUsers.edges[0].node.username, 'john');
});

test('Block ends the follows in both directions', LIMIT, async () => {
  await open('Block');
  const { relationship, viewer } = (await data()).block;
  const { blocking, followState, followedBy } = relationship;
  assert.deepEqual([blocking, followState, followedBy], [true, 'NOT_FOLLOWING', false]);
  assert.equal(viewer.blockedUsers.edges[0].node.username, 'john');
});

test('a token in the Headers pane overrides the token of the page', LIMIT, async () => {
  await open('Timeline');
  await signIn(await logIn('susan'));
  assert.equal((await data()).viewer.user.username, 'susan');
  await write(headers, '');
  assert.equal((await data()).viewer.user.username, 'ada');
});

test('"Forget token" makes the viewer anonymous', LIMIT, async () => {
  await button('Forget token').click();
  assert.deepEqual(await data(), { viewer: null });
});

test('the editor completes fields and shows their descriptions', LIMIT, async () => {
  const { __type: type } = await execute(
    '{ __type(name: "Query") { fields { name description } } }',
  );
  const { description } = type.fields.find(({ name }) => name === 'viewer');
  await open('New tab');
  await select(query);
  await page.keyboard.type('{ vie', { delay: 40 });
  await page.keyboard.press('Control+Space');
  await page.locator('.suggest-widget .monaco-list-row', { hasText: 'viewer' }).waitFor();
  await until('the description', async () =>
    squeeze(await page.locator('.suggest-details').innerText()).includes(squeeze(description)),
  );
  await page.keyboard.press('Enter');
  assert.match(await read(query), /\{ viewer\s*\}/);
});

test(
  'an invalid query is marked in the editor and gets GRAPHQL_VALIDATION_FAILED',
  LIMIT,
  async () => {
    await write(query, '{ nothingOfThisName }');
    await query.locator('.squiggly-error').first().waitFor();
    assert.equal(await errorCode(), 'GRAPHQL_VALIDATION_FAILED');
  },
);

test('the variables of the Variables pane are sent', LIMIT, async () => {
  await write(query, 'query Who($by: UserBy!) { user(by: $by) { username } }');
  await button('Variables').click();
  await write(variables, '{"by": {"username": "susan"}}');
  assert.deepEqual(await data(), { user: { username: 'susan' } });
});

// WCAG 2 requires a contrast of 4.5. The brackets in the editor have the lowest contrast, 3.51.
const MIN_CONTRAST = 3.5;
test('all texts of the light theme are legible', LIMIT, async () => {
  await open('Followers');
  await button('Show Documentation Explorer').click();
  assert.deepEqual(await page.evaluate(illegible, MIN_CONTRAST), []);
});
test('all texts of the dark theme are legible after a change in the settings', LIMIT, async () => {
  await button('Open settings dialog').click();
  await button('Dark').click();
  await page.keyboard.press('Escape');
  assert.deepEqual(await page.evaluate(illegible, MIN_CONTRAST), []);
});
test('all texts are legible after the system changes from light to dark', LIMIT, async () => {
  await button('Open settings dialog').click();
  await button('System').click();
  await page.keyboard.press('Escape');
  await page.emulateMedia({ colorScheme: 'dark' });
  await until('all texts are legible', async () => {
    assert.deepEqual(await page.evaluate(illegible, MIN_CONTRAST), []);
    return true;
  });
});
test('a reload restores the tabs, and all texts are legible', LIMIT, async () => {
  await page.reload();
  await query.getByText('Followers').first().waitFor();
  assert.equal(await page.locator('.graphiql-tab-button').count(), tabs.length + 1);
  assert.deepEqual(await page.evaluate(illegible, MIN_CONTRAST), []);
});

test('no request failed except the two that the stop button ended', LIMIT, () =>
  assert.deepEqual(failed, [`${address} net::ERR_ABORTED`, `${address} net::ERR_ABORTED`]),
);
test('the console shows only the three rejected requests, which the browser logs', LIMIT, () => {
  const rejection = /^Failed to load resource: the server responded with a status of 4\d\d.*/;
  const kinds = messages.map((text) => text.replace(rejection, 'rejected'));
  assert.deepEqual(kinds, ['rejected', 'rejected', 'rejected']);
});
test('the page sent no request to another host', LIMIT, () => assert.deepEqual(outside, []));
test('the content security policy blocks a request to another host', LIMIT, async () => {
  const violation = page.waitForEvent('console', (message) =>
    message.text().includes('Content Security Policy'),
  );
  const attempt = () =>
    fetch('https://example.com/').then(
      () => 'fetched',
      () => 'blocked',
    );
  assert.equal(await page.evaluate(attempt), 'blocked');
  assert.match((await violation).text(), /connect-src/);
});
