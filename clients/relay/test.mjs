// The built page in a real browser, clicked through from registering to a live timeline.
//
//     npm test -- http://127.0.0.1:8000/graphql [http://127.0.0.1:8001/graphql]
//
// Each check prints one line, `ok: …` or `not ok: …`. What the page asked for is counted by the name of the operation.
// With two addresses, the first is of a service with --only-trusted, for a page that was built after `npm run persist`;
// the other users, who have texts only, ask the second, on the same database. CHROMIUM names another browser.
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { extname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { chromium } from "playwright-core";

const [address, others = address] = process.argv.slice(2);
const isTrusted = others !== address;
const COUNTS = ["Posts", "Following", "Followers"];
const PASSWORD = "correct horse battery";
const suffix = randomBytes(4).toString("hex");

let failed = 0;
function report(what, passed, seen) {
  console.log(`${passed ? "ok" : "not ok"}: ${what}`);
  if (passed) return;
  failed++;
  console.error(seen);
}

/** Looks until it sees what is expected, for five seconds. */
async function check(what, look, expected) {
  const end = Date.now() + 5000;
  let seen;
  do {
    seen = await look();
    if (isDeepStrictEqual(seen, expected)) break;
    await sleep(50);
  } while (Date.now() < end);
  report(what, isDeepStrictEqual(seen, expected), { seen, expected });
}

// The page's own server: its files, and /graphql passed on, for the service answers its own origin only.
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
const streams = new Set();
const server = createServer(async (asked, answer) => {
  const { pathname } = new URL(asked.url, "http://page");
  if (pathname === "/graphql") {
    const passed = request(address, { method: asked.method, headers: asked.headers }, (response) => {
      answer.writeHead(response.statusCode, response.headers);
      response.pipe(answer);
      if (response.headers["content-type"]?.startsWith("text/event-stream")) streams.add(answer);
    });
    passed.on("error", () => answer.destroy());
    answer.on("close", () => {
      streams.delete(answer);
      passed.destroy();
    });
    asked.pipe(passed);
    return;
  }
  const name = pathname === "/" ? "/index.html" : pathname;
  const file = await readFile(new URL(`dist${name}`, import.meta.url)).catch(() => null);
  answer.writeHead(file ? 200 : 404, { "content-type": types[extname(name)] ?? "application/octet-stream" }).end(file);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const home = `http://127.0.0.1:${server.address().port}/`;

// The other users, who do not sit at this browser.
async function ask(token, query, variables) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(others, {
    method: "POST",
    headers,
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(10_000),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}
async function register(name) {
  const username = `${name}_${suffix}`;
  const input = { username, email: `${username}@example.com`, password: PASSWORD };
  const mutation = "mutation ($input: RegisterInput!) { register(input: $input) { token userErrors { message } } }";
  const { token, userErrors } = (await ask(null, mutation, { input })).register;
  if (!token) throw new Error(JSON.stringify(userErrors));
  return { username, token };
}
const follow = (user, { username }) =>
  ask(user.token, "mutation ($username: String!) { follow(user: {username: $username}) { changed } }", { username });
const post = (user, body) =>
  ask(user.token, "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }", { body });

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
page.setDefaultTimeout(10_000);

const outside = [];
const trouble = [];
const operations = [];
const texts = [];
const isOutside = ({ protocol, hostname }) => protocol !== "data:" && hostname !== "127.0.0.1";
await page.route(isOutside, (route) => {
  outside.push(route.request().url());
  return route.abort();
});
page.on("websocket", (socket) => isOutside(new URL(socket.url())) && outside.push(socket.url()));
page.on("request", (asked) => {
  if (!asked.url().endsWith("/graphql")) return;
  const { operationName, documentId, query } = asked.postDataJSON();
  operations.push(operationName);
  if (!documentId || query !== undefined) texts.push(operationName);
});
page.on("console", (message) => /error|warning/.test(message.type()) && trouble.push(message.text()));
page.on("pageerror", (error) => trouble.push(error.message));
page.on("response", (response) => response.status() >= 400 && trouble.push(`${response.status()} ${response.url()}`));
page.on("requestfailed", (asked) => {
  // The page itself ends a stream when it begins another one, or logs out.
  const isEnded = asked.headers().accept === "text/event-stream" && asked.failure()?.errorText === "net::ERR_ABORTED";
  if (!isEnded) trouble.push(`${asked.failure()?.errorText} ${asked.url()}`);
});

/** Does something, and looks at what the page asks the service for until a moment after that. */
async function asks(what, act, expected) {
  const before = operations.length;
  await act();
  const end = Date.now() + 5000;
  while (operations.length < before + expected.length && Date.now() < end) await sleep(50);
  await sleep(250);
  const seen = operations.slice(before);
  report(what, isDeepStrictEqual(seen, expected), { seen, expected });
}

const button = (name) => page.getByRole("button", { name, exact: true });
const click = (name) => button(name).first().click();
const alerts = () => page.getByRole("alert").allTextContents();
const you = page.getByRole("region", { name: "You" });
const profile = ({ username }) => page.getByRole("region", { name: `Profile of ${username}` });
const counts = (region) => async () =>
  Object.fromEntries(
    await Promise.all(
      COUNTS.map(async (name) => [name, Number(await region.getByLabel(name, { exact: true }).first().textContent())]),
    ),
  );
const list = () => page.getByRole("list", { name: "Followers" }).getByRole("link").allTextContents();
const timeline = () => page.getByRole("list", { name: "Timeline" }).locator("li > p").allTextContents();
const find = async ({ username }) => {
  await page.getByLabel("Find a user").fill(username);
  await page.getByLabel("Find a user").press("Enter");
  await profile({ username }).waitFor();
};

try {
  const susan = await register("susan");
  const mary = await register("mary");
  const david = await register("david");
  const followers = [];
  for (const n of [1, 2, 3, 4, 5]) {
    const follower = await register(`f${n}`);
    await follow(follower, susan);
    followers.unshift(follower.username);
  }
  const posts = [];
  for (let n = 1; n <= 11; n++) {
    await post(susan, `Post ${n} of susan`);
    posts.unshift(`Post ${n} of susan`);
  }

  await page.goto(home);

  // 1. Register.
  const john = { username: `john_${suffix}` };
  await page.getByLabel("Username").fill(john.username);
  await page.getByLabel("Password").fill(PASSWORD);
  await click("Log in");
  await check("who is not registered is told so", alerts, ["The username or the password is wrong."]);
  await click("I am new here");
  await page.getByLabel("Username").fill(susan.username);
  await page.getByLabel("E-mail").fill(`${john.username}@example.com`);
  await click("Register");
  await check(
    "a username that is taken is said at its field",
    () => page.locator("label:has([aria-invalid=true]) + [role=alert]").allTextContents(),
    ["This username is taken."],
  );
  await page.getByLabel("Username").fill(john.username);
  await asks("registering opens the page with one query and one stream", () => click("Register"), [
    "SignInRegisterMutation",
    "HomeQuery",
    "useTimelineEventsSubscription",
  ]);
  john.token = await page.evaluate(() => sessionStorage.getItem("token"));
  await check("a new user starts from nothing", counts(you), { Posts: 0, Following: 0, Followers: 0 });
  await check("the timeline is empty", timeline, []);

  // 2. Follow: every button, count and list on the page changes with the answer.
  await asks("a profile is one query", () => find(susan), ["ProfileQuery"]);
  await check("a profile has its counts", counts(profile(susan)), { Posts: 11, Following: 0, Followers: 5 });
  await asks("following is one request", () => click(`Follow ${susan.username}`), ["FollowButtonFollowMutation"]);
  await check("the button says so", () => button(`Unfollow ${susan.username}`).count(), 1);
  await check("susan has one follower more", counts(profile(susan)), { Posts: 11, Following: 0, Followers: 6 });
  await check("john follows one user more", counts(you), { Posts: 0, Following: 1, Followers: 0 });
  await check("john is at the head of her followers", list, [john.username, ...followers.slice(0, 2)]);

  await asks("so is another one", () => find(mary), ["ProfileQuery"]);
  await follow(john, mary);
  await asks("following again is one request", () => click(`Follow ${mary.username}`), ["FollowButtonFollowMutation"]);
  await check("following again is no error", alerts, []);
  await check("following again counts once", counts(profile(mary)), { Posts: 0, Following: 0, Followers: 1 });

  // 3. A wrong thing, as data.
  await asks("and another one", () => find(david), ["ProfileQuery"]);
  await ask(david.token, "mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { changed } }", {
    input: { password: PASSWORD },
  });
  await asks("following who is gone is one request", () => click(`Follow ${david.username}`), [
    "FollowButtonFollowMutation",
  ]);
  await check("following who is gone is a user error", alerts, ["There is no such user."]);

  // 4. Unfollow.
  await asks("a profile that was seen before is read again", () => find(susan), ["ProfileQuery"]);
  await asks("unfollowing is one request", () => click(`Unfollow ${susan.username}`), ["FollowButtonUnfollowMutation"]);
  await check("the button says so again", () => button(`Follow ${susan.username}`).count(), 1);
  await check("susan has one follower less", counts(profile(susan)), { Posts: 11, Following: 0, Followers: 5 });
  await check("john follows one user less", counts(you), { Posts: 0, Following: 1, Followers: 0 });
  await check("john is not among her followers", async () => (await list()).includes(john.username), false);

  // 5. The followers, both ways.
  const ends = async () => [await button("Newer followers").count(), await button("Older followers").count()];
  const paging = ["FollowersPaginationQuery"];
  await asks("the newest followers are one request", () => click("Newest"), paging);
  await check("forwards, page 1", list, followers.slice(0, 2));
  await check("there are older ones only", ends, [0, 1]);
  await asks("forwards is one request a page", () => click("Older followers"), paging);
  await check("forwards, page 2", list, followers.slice(0, 4));
  await asks("forwards is one request for the last page", () => click("Older followers"), paging);
  await check("forwards, page 3", list, followers);
  await check("there are no more", ends, [0, 0]);
  await asks("the oldest followers are one request", () => click("Oldest"), paging);
  await check("backwards, page 1", list, followers.slice(-2));
  await check("there are newer ones only", ends, [1, 0]);
  await asks("backwards is one request a page", () => click("Newer followers"), paging);
  await check("backwards, page 2", list, followers.slice(-4));
  await asks("backwards is one request for the last page", () => click("Newer followers"), paging);
  await check("backwards, page 3: the same users", list, followers);
  await check("there are no more at either end", ends, [0, 0]);

  // 6. The timeline.
  await asks("following anew is one request", () => click(`Follow ${susan.username}`), ["FollowButtonFollowMutation"]);
  await check("john follows two users", counts(you), { Posts: 0, Following: 2, Followers: 0 });
  const hint = "Your timeline has changed. Show it.";
  await check("the stream says that the timeline shows others now", () => button(hint).count(), 1);
  await asks("reading it anew is one query and one stream", () => click(hint), [
    "HomeQuery",
    "useTimelineEventsSubscription",
  ]);
  await check("now it shows what there is", () => button(hint).count(), 0);
  await check("the timeline has her posts, newest first", timeline, posts.slice(0, 10));
  await asks("older posts are one request", () => click("Older posts"), ["TimelinePaginationQuery"]);
  await check("the timeline goes back to the first post", timeline, posts);
  await page.getByLabel("New post").fill("Hello from john");
  await asks("posting is one request", () => click("Post"), ["ComposeMutation"]);
  posts.unshift("Hello from john");
  await check("john's post is at the head, once", timeline, posts);
  await check("it counts", counts(you), { Posts: 1, Following: 2, Followers: 0 });

  // 7. Live.
  await asks("a live post takes no request", () => post(susan, "Live from susan"), []);
  posts.unshift("Live from susan");
  await check("her post comes to the head by itself", timeline, posts);
  await check("her posts are counted", counts(profile(susan)), { Posts: 12, Following: 0, Followers: 6 });

  await asks(
    "an interrupted stream goes on by itself",
    async () => {
      for (const stream of streams) stream.end();
      await post(susan, "Meanwhile from susan");
    },
    ["useTimelineEventsSubscription"],
  );
  posts.unshift("Meanwhile from susan");
  await check("nothing was lost meanwhile, and nothing comes twice", timeline, posts);

  const hers = posts.filter((body) => body.endsWith("susan")).length;
  const buttons = async () => [
    await button(`Follow ${susan.username}`).count(),
    await button(`Unfollow ${susan.username}`).count(),
  ];
  await check("each of her posts has a button, and so has her profile", buttons, [0, hers + 1]);
  await asks("one answer is enough for all buttons", () => click(`Unfollow ${susan.username}`), [
    "FollowButtonUnfollowMutation",
  ]);
  await check("all buttons have changed", buttons, [hers + 1, 0]);

  // And out again.
  await asks("logging out is one request", () => click("Log out"), ["HomeLogoutMutation"]);
  await check("the page asks who is there", () => page.getByLabel("Password").count(), 1);
  const over = await ask(john.token, "{ viewer { email } }").catch((error) => error.message);
  report("the token is worth nothing now", /UNAUTHENTICATED/.test(over), over);

  if (isTrusted) {
    const body = JSON.stringify({ query: "{ __typename }" });
    const refused = await fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body });
    const { errors } = await refused.json();
    report("the service runs no other document", errors?.[0].extensions.code === "DOCUMENT_NOT_TRUSTED", errors);
    report("the page sent ids, and no text", operations.length > 0 && texts.length === 0, texts);
  }
  report("the page asked nobody else", outside.length === 0, outside);
  report("no error, no warning, no failed request", trouble.length === 0, trouble);
} catch (error) {
  report("the story came to its end", false, error);
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
}
process.exit(failed ? 1 : 0);
