// The embedded playground, used as a person would use it, in a real browser.
//   node playground.mjs ADDRESS [FOLDER]
// ADDRESS is the server's /graphql; it runs with --demo. Screenshots go into FOLDER, by their names in docs/images.
// CHROMIUM names another browser.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { check, failures } from './checks.mjs';
import { illegible } from './legible.mjs';

const [address, folder] = process.argv.slice(2);
if (!address) throw new Error('usage: node playground.mjs http://127.0.0.1:8000/graphql [folder for screenshots]');
const home = new URL('.', address).href;
const { hostname } = new URL(address);
const password = 'correct horse battery';

async function until(what, holds) {
  let last;
  for (const end = Date.now() + 5000; Date.now() < end; await sleep(50)) {
    try {
      if (await holds()) return;
    } catch (error) {
      last = error;
    }
  }
  throw last ?? new Error(`waited in vain: ${what}`);
}

// The other side: what somebody else does while the page is open.
async function ask(query, { token, variables } = {}) {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const body = JSON.stringify({ query, variables });
  const { data, errors } = await (await fetch(address, { method: 'POST', headers, body })).json();
  assert.equal(errors, undefined);
  return data;
}
async function logIn(username) {
  const document = 'mutation ($input: LoginInput!) { login(input: $input) { token } }';
  return (await ask(document, { variables: { input: { username, password } } })).login.token;
}
async function say(token, body) {
  const document = 'mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }';
  await ask(document, { token, variables: { body } });
}
// The tabs register "ada"; without her the test can run again.
async function forgetAda() {
  const token = await logIn('ada');
  const document = 'mutation ($password: String!) { deleteAccount(input: {password: $password}) { changed } }';
  if (token) await ask(document, { token, variables: { password } });
}

await check('the page is embedded in the binary, under a strict content security policy', async () => {
  const response = await fetch(home);
  assert.match(await response.text(), /assets\//, 'this binary was built without npm');
  const policy = response.headers.get('content-security-policy') ?? '';
  for (const rule of ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]) {
    assert(policy.split('; ').includes(rule), `${rule} is not in ${policy}`);
  }
});
await forgetAda();
const john = await logIn('john');

// No name leads anywhere, and what asks for another address is stopped and noted.
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', `--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE ${hostname}`],
});
const context = await browser.newContext({
  viewport: { width: 1280, height: 800 },
  permissions: ['clipboard-read', 'clipboard-write'],
});
const elsewhere = [];
const isElsewhere = (url) => url.hostname !== hostname;
await context.route(isElsewhere, (route) => (elsewhere.push(route.request().url()), route.abort()));
await context.routeWebSocket(isElsewhere, (socket) => (elsewhere.push(socket.url()), socket.close()));

const page = await context.newPage();
page.setDefaultTimeout(10_000);
const complaints = [];
const failed = [];
page.on('pageerror', (error) => complaints.push(error.message));
page.on('console', (message) => {
  // The worker's name for every editor, as it starts.
  if (message.type() === 'info' && message.text().startsWith('setup-workers/')) return;
  complaints.push(message.text());
});
page.on('requestfailed', (request) => failed.push(`${request.url()} ${request.failure().errorText}`));

const editors = page.locator('.graphiql-editor-tool .monaco-editor');
const query = page.locator('.graphiql-query-editor .monaco-editor');
const variables = editors.nth(0);
const headers = editors.nth(1);
const answer = page.locator('.result-window .monaco-editor');
const plugin = page.locator('.graphiql-plugin');
const play = page.getByRole('button', { name: 'Execute query' });
const stop = page.getByRole('button', { name: 'Stop query' });
const button = (name) => page.getByRole('button', { name, exact: true });

/** Opens a tab, and waits as a person would: GraphiQL reads the name of its operation a moment later. */
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
/** Instead of the token that the page got by registering or logging in. */
async function signIn(token) {
  await button('Headers').click();
  await write(headers, JSON.stringify({ Authorization: `Bearer ${token}` }));
}
/** Presses play; gives the answer, when the pane shows all of it. */
async function run() {
  const [response] = await Promise.all([page.waitForResponse(address), play.click()]);
  const body = await response.json();
  await until('the pane shows the answer', async () => {
    assert.deepEqual(JSON.parse(await read(answer)), body);
    return true;
  });
  return body;
}
async function data() {
  const body = await run();
  assert.equal(body.errors, undefined, JSON.stringify(body.errors));
  return body.data;
}
async function code() {
  const { errors } = await run();
  return errors[0].extensions.code;
}
async function screenshot(name) {
  if (!folder) return;
  const { default: sharp } = await import('sharp');
  await page.keyboard.press('Control+Home'); // nothing selected
  await page.evaluate(() => document.activeElement?.blur());
  await page.mouse.move(640, 795);
  await sleep(1500); // until scroll bars and hints have faded
  await sharp(await page.screenshot())
    .png({ palette: true, effort: 10 })
    .toFile(join(folder, `${name}.png`));
}

await check('the page loads', async () => {
  await page.goto(home);
  assert.equal(await page.title(), 'Rookery playground');
  await query.getByText('Welcome!').waitFor();
});

/** The text without what Markdown makes of it. */
const squeeze = (text) => text.replaceAll('`', '').replace(/\s+/g, ' ');
const tabs = ['Register', 'LogIn', 'Follow', 'Post', 'Timeline', 'Followers', 'Live'];
await check('the tabs are there, in order', async () => {
  assert.deepEqual(await page.locator('.graphiql-tab-button').allInnerTexts(), tabs);
});

await check('the docs show User, its description and all its fields with theirs', async () => {
  const { __type: user } = await ask('{ __type(name: "User") { description fields { name description } } }');
  await button('Show Documentation Explorer').click();
  await plugin.getByText('User', { exact: true }).click();
  await plugin.getByText(user.description).waitFor();
  const shown = squeeze(await plugin.innerText());
  for (const { name, description } of user.fields) {
    assert(shown.includes(name), name);
    assert(shown.includes(squeeze(description.split('\n\n')[0])), description);
  }
  await button('Hide Documentation Explorer').click();
});

await check('every line of the tabs fits beside the buttons', async () => {
  // 50 characters, when the window is 1280 pixels wide.
  for (const name of tabs) {
    await open(name);
    const longest = Math.max(...(await read(query)).split('\n').map((line) => line.length));
    assert(longest <= 50, `${name} has a line of ${longest}`);
  }
});

let token;
await check('Register answers with a token', async () => {
  await open('Register');
  const { register } = await data();
  assert.deepEqual(register.userErrors, []);
  assert.equal(register.viewer.user.username, 'ada');
  token = register.token;
});

await check('LogIn answers with another', async () => {
  await open('LogIn');
  const { login } = await data();
  assert.deepEqual(login.userErrors, []);
  assert.notEqual(login.token, token);
  token = login.token;
});

await check('Follow with a wrong token in its Headers pane is refused with a code', async () => {
  await open('Follow');
  await signIn('nonsense');
  assert.equal(await code(), 'UNAUTHENTICATED');
});

await check('Follow changes the graph, and again changes nothing', async () => {
  await write(headers, '');
  await button('Hide editor tools').click();
  const first = (await data()).follow;
  assert.deepEqual([first.changed, first.user.username, first.userErrors], [true, 'john', []]);
  const again = (await data()).follow;
  assert.deepEqual({ ...first, changed: false }, again);
});

await check('Post publishes', async () => {
  await open('Post');
  const { createPost } = await data();
  assert.deepEqual([createPost.post.body, createPost.userErrors], ['Hello, rookery!', []]);
});

await check('Timeline has the own post on top, and those of john', async () => {
  await open('Timeline');
  const { user } = (await data()).viewer;
  assert.equal(user.username, 'ada');
  assert.equal(user.timeline.nodes[0].body, 'Hello, rookery!');
  assert.deepEqual(new Set(user.timeline.nodes.map((post) => post.author.username)), new Set(['ada', 'john']));
  await screenshot('playground');
  await button('Show Documentation Explorer').click(); // where User is still open
  await plugin.getByText('Somebody with an account').scrollIntoViewIfNeeded();
  await screenshot('schema');
  await button('Hide Documentation Explorer').click();
});

await check('Followers has ada on top', async () => {
  await open('Followers');
  const { user } = await data();
  assert.equal(user.followers.edges[0].node.username, 'ada');
  assert.equal(user.followers.edges.length, 10);
});

await check('Live with a wrong token is refused with a code, at once', async () => {
  await open('Live');
  await signIn('nonsense');
  assert.equal(await code(), 'UNAUTHENTICATED');
});
if (await stop.isVisible()) await stop.click();

const shows = (body) =>
  until(`the pane shows ${body}`, async () => {
    const { data: event } = JSON.parse(await read(answer));
    return event.timelineEvents.__typename === 'TimelinePostAdded' && event.timelineEvents.edge.node.body === body;
  });
let aborted;
await check('Live shows the post of a followed user, and the next one', async () => {
  await write(headers, '');
  await button('Hide editor tools').click();
  const [response] = await Promise.all([page.waitForResponse(address), play.click()]);
  assert.equal(response.headers()['content-type'], 'text/event-stream');
  aborted = response.request();
  await say(john, 'The owls are out tonight.');
  await shows('The owls are out tonight.');
  await say(john, 'One of them just called back!');
  await shows('One of them just called back!');
  await screenshot('live');
});

await check('the stop button ends it', async () => {
  await stop.click();
  await play.waitFor();
  await until('the request ends', () => aborted.failure()?.errorText === 'net::ERR_ABORTED');
  await say(john, 'Nobody is listening.');
  await sleep(500);
  assert(!(await read(answer)).includes('Nobody'));
});

await check('the Headers pane comes before the token of the page', async () => {
  await open('Timeline');
  await signIn(await logIn('susan'));
  assert.equal((await data()).viewer.user.username, 'susan');
  await write(headers, '');
  assert.equal((await data()).viewer.user.username, 'ada');
});

await check('the token can be forgotten', async () => {
  await button('Forget token').click();
  assert.deepEqual(await data(), { viewer: null });
});

await check('the editor offers fields with their descriptions, and fills them in', async () => {
  const { __type: type } = await ask('{ __type(name: "Query") { fields { name description } } }');
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

await check('a wrong query is marked in the editor and refused with a code', async () => {
  await write(query, '{ nothingOfThisName }');
  await query.locator('.squiggly-error').first().waitFor();
  assert.equal(await code(), 'GRAPHQL_VALIDATION_FAILED');
});

await check('the variables are sent', async () => {
  await write(query, 'query Who($by: UserBy!) { user(by: $by) { username } }');
  await button('Variables').click();
  await write(variables, '{"by": {"username": "susan"}}');
  assert.deepEqual(await data(), { user: { username: 'susan' } });
});

// WCAG 2 asks for 4.5; the palest that the editor has, its brackets, are at 3.51.
const least = 3.5;
await check('the light theme is legible', async () => {
  await open('Followers');
  await button('Show Documentation Explorer').click();
  assert.deepEqual(await page.evaluate(illegible, least), []);
});
await check('the dark theme of the settings is legible', async () => {
  await button('Open settings dialog').click();
  await button('Dark').click();
  await page.keyboard.press('Escape');
  assert.deepEqual(await page.evaluate(illegible, least), []);
});
await check('the theme follows the system, from light to dark', async () => {
  await button('Open settings dialog').click();
  await button('System').click();
  await page.keyboard.press('Escape');
  await page.emulateMedia({ colorScheme: 'dark' });
  await until('all is legible', async () => {
    assert.deepEqual(await page.evaluate(illegible, least), []);
    return true;
  });
});
await check('the tabs come back when the page is loaded again, and it is legible', async () => {
  await page.reload();
  await query.getByText('The graph itself').waitFor();
  assert.equal(await page.locator('.graphiql-tab-button').count(), tabs.length + 1);
  assert.deepEqual(await page.evaluate(illegible, least), []);
});

await check('no request failed but the one that was stopped', () =>
  assert.deepEqual(failed, [`${address} net::ERR_ABORTED`]),
);
await check('the console has nothing but the three refusals, which every browser notes', () => {
  const refusal = /^Failed to load resource: the server responded with a status of 4\d\d.*/;
  const noted = complaints.map((text) => text.replace(refusal, 'refused'));
  assert.deepEqual(noted, ['refused', 'refused', 'refused']);
});
await check('nothing was asked of any other host', () => assert.deepEqual(elsewhere, []));
await check('the browser would not let the page ask any', async () => {
  const violation = page.waitForEvent('console', (message) => message.text().includes('Content Security Policy'));
  const attempt = () =>
    fetch('https://example.com/').then(
      () => 'fetched',
      () => 'refused',
    );
  assert.equal(await page.evaluate(attempt), 'refused');
  assert.match((await violation).text(), /connect-src/);
});

await browser.close();
await forgetAda();
process.exitCode = failures ? 1 : 0;
