// The built page in Chromium, from the registration to a live timeline.
//
//     npm run build && ROOKERY_URL=http://127.0.0.1:8000/graphql npm test
//
// The tests run in order: each starts where the last one left the page. They count the requests of
// the page by operation name.
//
// For a page that was built after `npm run persist`, ROOKERY_URL is a server with --require-trusted-documents,
// and ROOKERY_SECOND_URL is a server on the same database that accepts any document. The requests
// of the other users go to the second server. CHROMIUM names another browser.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { extname } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { chromium } from "playwright-core";

const address = process.env.ROOKERY_URL;
assert(address, "set ROOKERY_URL to the address of /graphql");
const secondAddress = process.env.ROOKERY_SECOND_URL ?? address;
const isTrusted = secondAddress !== address;
const PASSWORD = "correct horse battery";
const suffix = randomBytes(4).toString("hex");

// The page's own server. It serves the built files and forwards /graphql, because Rookery accepts
// its own origin only.
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
const streams = new Set();
let losesNext = false; // whether the next response breaks off after its headers
const server = createServer(async (incoming, outgoing) => {
  const { pathname } = new URL(incoming.url, "http://page");
  if (pathname === "/graphql") {
    const { method, headers } = incoming;
    const forwarded = request(address, { method, headers }, (response) => {
      outgoing.writeHead(response.statusCode, response.headers);
      if (losesNext) {
        losesNext = false;
        outgoing.flushHeaders();
        response.resume().on("end", () => outgoing.destroy());
        return;
      }
      response.pipe(outgoing);
      if (response.headers["content-type"]?.startsWith("text/event-stream")) streams.add(outgoing);
    });
    forwarded.on("error", () => outgoing.destroy());
    outgoing.on("close", () => {
      streams.delete(outgoing);
      forwarded.destroy();
    });
    incoming.pipe(forwarded);
    return;
  }
  const name = pathname === "/" ? "/index.html" : pathname;
  const file = await readFile(new URL(`dist${name}`, import.meta.url)).catch(() => null);
  const type = types[extname(name)] ?? "application/octet-stream";
  outgoing.writeHead(file ? 200 : 404, { "content-type": type }).end(file);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const home = `http://127.0.0.1:${server.address().port}/`;

// Requests of the other users. They have no browser.
async function send(url, token, query, variables) {
  const authorization = token && { authorization: `Bearer ${token}` };
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(10_000),
  });
  return response.json();
}
async function execute(token, query, variables) {
  const { data, errors } = await send(secondAddress, token, query, variables);
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}
async function register(name) {
  const username = `${name}_${suffix}`;
  const input = { username, email: `${username}@example.com`, password: PASSWORD };
  const mutation = `mutation ($input: RegisterInput!) {
    register(input: $input) { token userErrors { message } } }`;
  const { token, userErrors } = (await execute(null, mutation, { input })).register;
  assert(token, JSON.stringify(userErrors));
  return { username, token };
}
async function follow({ token }, { username }) {
  const mutation = `mutation ($username: String!) {
    follow(user: {username: $username}) { userErrors { __typename message } } }`;
  return (await execute(token, mutation, { username })).follow.userErrors;
}
// Other mutations of the relationship with a user: `acceptFollowRequest` and `block`.
async function change(field, { token }, { username }) {
  const mutation = `mutation ($username: String!) {
    ${field}(user: {username: $username}) { changed } }`;
  assert((await execute(token, mutation, { username }))[field].changed);
}
async function protect({ token }) {
  await execute(token, "mutation { updateProfile(input: {isProtected: true}) { user { id } } }");
}
async function createPost({ token }, body) {
  const mutation = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }";
  return (await execute(token, mutation, { body })).createPost.post.id;
}
// `like` and `repost`.
async function react(field, { token }, postId) {
  const mutation = `mutation ($postId: ID!) { ${field}(postId: $postId) { changed } }`;
  assert((await execute(token, mutation, { postId }))[field].changed);
}
async function deleteAccount({ token }) {
  const mutation =
    "mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { changed } }";
  await execute(token, mutation, { input: { password: PASSWORD } });
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
after(async () => {
  await browser.close();
  server.close();
  server.closeAllConnections();
});
const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
page.setDefaultTimeout(10_000);

const outside = []; // addresses on other hosts
const problems = []; // errors and warnings of the page, and failed requests
const operations = []; // names of the operations that the page sent
const texts = []; // names of those that it sent with their text
const isOutside = ({ protocol, hostname }) => protocol !== "data:" && hostname !== "127.0.0.1";
await page.route(isOutside, (route) => {
  outside.push(route.request().url());
  return route.abort();
});
page.on("websocket", (socket) => isOutside(new URL(socket.url())) && outside.push(socket.url()));
page.on("request", (sent) => {
  if (!sent.url().endsWith("/graphql")) return;
  const { operationName, documentId, query } = sent.postDataJSON();
  operations.push(operationName);
  if (!documentId || query !== undefined) texts.push(operationName);
});
const LOST = /ERR_CONTENT_LENGTH_MISMATCH/; // of the response that the page's server breaks off
page.on("console", (message) => {
  const text = message.text();
  if (/error|warning/.test(message.type()) && !LOST.test(text)) problems.push(text);
});
page.on("pageerror", (error) => problems.push(error.message));
page.on("response", (response) => {
  if (response.status() >= 400) problems.push(`${response.status()} ${response.url()}`);
});
page.on("requestfailed", (failed) => {
  // The page itself ends a stream before it opens another, and on logout.
  const isStream = failed.headers().accept === "text/event-stream";
  const reason = failed.failure()?.errorText;
  if ((isStream && reason === "net::ERR_ABORTED") || LOST.test(reason)) return;
  problems.push(`${reason} ${failed.url()}`);
});

// Polls for 5 s until the page shows what is expected.
async function shows(look, expected) {
  let seen = await look();
  for (const end = Date.now() + 5000; Date.now() < end; seen = await look()) {
    if (isDeepStrictEqual(seen, expected)) return;
    await sleep(50);
  }
  assert.deepEqual(seen, expected);
}

// Asserts which operations the page sends during `act` and up to 250 ms later, in any order.
async function sends(act, expected) {
  const before = operations.length;
  await act();
  const end = Date.now() + 5000;
  while (operations.length < before + expected.length && Date.now() < end) await sleep(50);
  await sleep(250);
  assert.deepEqual(operations.slice(before).sort(), expected.toSorted());
}

const subscriptions = ["useTimelineEventsSubscription", "useNotificationEventsSubscription"];
const button = (name) => page.getByRole("button", { name, exact: true });
const click = (name) => button(name).first().click();
const alerts = () => page.getByRole("alert").allTextContents();
const you = page.getByRole("region", { name: "You" });
const profile = ({ username }) => page.getByRole("region", { name: `Profile of ${username}` });
const counts = (region) => async () => {
  const entries = ["Posts", "Following", "Followers"].map(async (name) => {
    const label = region.getByLabel(name, { exact: true }).first();
    return [name, Number(await label.textContent())];
  });
  return Object.fromEntries(await Promise.all(entries));
};
const followersList = () =>
  page.getByRole("list", { name: "Followers" }).getByRole("link").allTextContents();
const timeline = () =>
  page.getByRole("list", { name: "Timeline" }).locator("li > p").allTextContents();
async function openProfile({ username }) {
  await page.getByLabel("Find a user").fill(username);
  await page.getByLabel("Find a user").press("Enter");
  await profile({ username }).waitFor();
}

// john is the user of the page. susan has five followers and eleven posts.
const john = { username: `john_${suffix}` };
const susan = await register("susan");
const mary = await register("mary");
const david = await register("david");
const kate = await register("kate");
const paul = await register("paul");
const followers = []; // newest first
for (const n of [1, 2, 3, 4, 5]) {
  const follower = await register(`f${n}`);
  await follow(follower, susan);
  followers.unshift(follower.username);
}
const posts = []; // newest first
for (let n = 1; n <= 11; n++) {
  await createPost(susan, `Post ${n} of susan`);
  posts.unshift(`Post ${n} of susan`);
}
await page.goto(home);

describe("registration", () => {
  test("a login of an unknown user shows the message of the user error", async () => {
    const mutation =
      "mutation ($input: LoginInput!) { login(input: $input) { userErrors { message } } }";
    const input = { username: john.username, password: PASSWORD };
    const [{ message }] = (await execute(null, mutation, { input })).login.userErrors;
    await page.getByLabel("Username").fill(john.username);
    await page.getByLabel("Password").fill(PASSWORD);
    await click("Log in");
    await shows(alerts, [message]);
  });

  test("a registration with a taken username shows the message beside that field", async () => {
    const mutation =
      "mutation ($input: RegisterInput!) { register(input: $input) { userErrors { message } } }";
    const email = `${john.username}@example.com`;
    const input = { username: susan.username, email, password: PASSWORD };
    const [{ message }] = (await execute(null, mutation, { input })).register.userErrors;
    await click("I am new here");
    await page.getByLabel("Username").fill(susan.username);
    await page.getByLabel("E-mail").fill(email);
    await click("Register");
    const field = page.locator(
      "label:has([aria-invalid=true]):has-text('Username') + [role=alert]",
    );
    await shows(() => field.allTextContents(), [message]);
  });

  test("a registration opens the page with one mutation, one query and two streams", async () => {
    await page.getByLabel("Username").fill(john.username);
    await sends(
      () => click("Register"),
      ["SignInRegisterMutation", "HomeQuery", ...subscriptions],
    );
    john.token = await page.evaluate(() => sessionStorage.getItem("token"));
  });

  test("a new user has the counts 0", () =>
    shows(counts(you), { Posts: 0, Following: 0, Followers: 0 }));

  test("the timeline of a new user is empty", () => shows(timeline, []));
});

describe("follow", () => {
  test("opening susan's profile sends one query", () =>
    sends(() => openProfile(susan), ["ProfileQuery"]));

  test("susan's profile shows her counts", () =>
    shows(counts(profile(susan)), { Posts: 11, Following: 0, Followers: 5 }));

  test("following susan sends one mutation", () =>
    sends(() => click(`Follow ${susan.username}`), ["FollowButtonFollowMutation"]));

  test("the button changes to Unfollow", () =>
    shows(() => button(`Unfollow ${susan.username}`).count(), 1));

  test("susan's count of followers increases by 1", () =>
    shows(counts(profile(susan)), { Posts: 11, Following: 0, Followers: 6 }));

  test("john's count of followed users increases by 1", () =>
    shows(counts(you), { Posts: 0, Following: 1, Followers: 0 }));

  test("john is first in the list of susan's followers", () =>
    shows(followersList, [john.username, ...followers.slice(0, 2)]));

  test("opening mary's profile sends one query", () =>
    sends(() => openProfile(mary), ["ProfileQuery"]));

  test("a follow from another client of john takes no request", () =>
    sends(() => follow(john, mary), []));

  test("the stream changes the button", () =>
    shows(() => button(`Unfollow ${mary.username}`).count(), 1));

  test("the stream increases mary's count of followers", () =>
    shows(counts(profile(mary)), { Posts: 0, Following: 0, Followers: 1 }));

  test("opening david's profile sends one query", () =>
    sends(() => openProfile(david), ["ProfileQuery"]));

  test("following a deleted user sends one mutation", async () => {
    await deleteAccount(david);
    await sends(() => click(`Follow ${david.username}`), ["FollowButtonFollowMutation"]);
  });

  test("following a deleted user shows the message of the user error", async () => {
    const [{ message }] = await follow(john, david);
    await shows(alerts, [message]);
  });
});

describe("unfollow", () => {
  test("opening susan's profile again sends one query", () =>
    sends(() => openProfile(susan), ["ProfileQuery"]));

  test("unfollowing susan sends one mutation", () =>
    sends(() => click(`Unfollow ${susan.username}`), ["FollowButtonUnfollowMutation"]));

  test("the button changes to Follow", () =>
    shows(() => button(`Follow ${susan.username}`).count(), 1));

  test("susan's count of followers decreases by 1", () =>
    shows(counts(profile(susan)), { Posts: 11, Following: 0, Followers: 5 }));

  test("john's count of followed users decreases by 1", () =>
    shows(counts(you), { Posts: 0, Following: 1, Followers: 0 }));

  test("john is no longer in the list of susan's followers", () =>
    shows(async () => (await followersList()).includes(john.username), false));
});

describe("pages of followers", () => {
  const ends = async () => [
    await button("Newer followers").count(),
    await button("Older followers").count(),
  ];
  const query = ["FollowersPaginationQuery"];

  test('"Newest" sends one query', () => sends(() => click("Newest"), query));
  test("the first page forwards has the two newest followers", () =>
    shows(followersList, followers.slice(0, 2)));
  test("the first page forwards has a button for older followers only", () => shows(ends, [0, 1]));
  test("the second page forwards takes one query", () =>
    sends(() => click("Older followers"), query));
  test("the second page forwards adds two followers", () =>
    shows(followersList, followers.slice(0, 4)));
  test("the last page forwards takes one query", () =>
    sends(() => click("Older followers"), query));
  test("the last page forwards completes the list", () => shows(followersList, followers));
  test("the complete list forwards has no button for more followers", () => shows(ends, [0, 0]));

  test('"Oldest" sends one query', () => sends(() => click("Oldest"), query));
  test("the first page backwards has the two oldest followers", () =>
    shows(followersList, followers.slice(-2)));
  test("the first page backwards has a button for newer followers only", () => shows(ends, [1, 0]));
  test("the second page backwards takes one query", () =>
    sends(() => click("Newer followers"), query));
  test("the second page backwards adds two followers", () =>
    shows(followersList, followers.slice(-4)));
  test("the last page backwards takes one query", () =>
    sends(() => click("Newer followers"), query));
  test("the last page backwards completes the list with the same users", () =>
    shows(followersList, followers));
  test("the complete list backwards has no button for more followers", () => shows(ends, [0, 0]));
});

describe("timeline", () => {
  const hint = "Your timeline has changed. Show it.";

  test("following susan again sends one mutation", () =>
    sends(() => click(`Follow ${susan.username}`), ["FollowButtonFollowMutation"]));

  test("john's count of followed users is 2", () =>
    shows(counts(you), { Posts: 0, Following: 2, Followers: 0 }));

  test("the stream announces that the timeline has changed", () =>
    shows(() => button(hint).count(), 1));

  test("reading the timeline again takes one query and one stream", () =>
    sends(() => click(hint), ["HomeQuery", "useTimelineEventsSubscription"]));

  test("the announcement disappears after that", () => shows(() => button(hint).count(), 0));

  test("the timeline shows susan's ten newest posts, newest first", () =>
    shows(timeline, posts.slice(0, 10)));

  test("older posts take one query", () =>
    sends(() => click("Older posts"), ["TimelinePaginationQuery"]));

  test("the timeline shows all posts of susan", () => shows(timeline, posts));

  test("a new post takes one mutation", async () => {
    await page.getByLabel("New post").fill("Hello from john");
    await sends(() => click("Post"), ["ComposeMutation"]);
    posts.unshift("Hello from john");
  });

  test("john's post is first in the timeline, and there once", () => shows(timeline, posts));

  test("john's count of posts increases by 1", () =>
    shows(counts(you), { Posts: 1, Following: 2, Followers: 0 }));
});

describe("live events", () => {
  const buttons = async () => [
    await button(`Follow ${susan.username}`).count(),
    await button(`Unfollow ${susan.username}`).count(),
  ];
  // One button for each of susan's posts, and one on her profile.
  const expectedButtons = () => posts.filter((body) => body.endsWith("susan")).length + 1;

  test("a new post of susan takes no request", async () => {
    await sends(() => createPost(susan, "Live from susan"), []);
    posts.unshift("Live from susan");
  });

  test("the new post is first in the timeline", () => shows(timeline, posts));

  test("susan's count of posts increases by 1", () =>
    shows(counts(profile(susan)), { Posts: 12, Following: 0, Followers: 6 }));

  test("the page resumes each interrupted stream with one subscription", async () => {
    const interrupt = async () => {
      for (const stream of streams) stream.end();
      await createPost(susan, "Meanwhile from susan");
    };
    await sends(interrupt, subscriptions);
    posts.unshift("Meanwhile from susan");
  });

  test("after an interruption every post is there once", () => shows(timeline, posts));

  test("susan's profile and each of her posts have an Unfollow button", () =>
    shows(buttons, [0, expectedButtons()]));

  test("unfollowing susan by one of the buttons sends one mutation", () =>
    sends(() => click(`Unfollow ${susan.username}`), ["FollowButtonUnfollowMutation"]));

  test("all of them change to Follow", () => shows(buttons, [expectedButtons(), 0]));
});

describe("protected accounts", () => {
  const note = () => page.getByText(`Only followers see the posts and lists of`).count();
  const requests = () =>
    page.getByRole("list", { name: "Follow requests" }).getByRole("link").allTextContents();

  test("the profile of a protected user shows a note in place of the lists", async () => {
    await createPost(kate, "For followers of kate");
    await protect(kate);
    await sends(() => openProfile(kate), ["ProfileQuery"]);
    await shows(note, 1);
  });

  test("asking to follow sends one mutation", () =>
    sends(() => click(`Ask to follow ${kate.username}`), ["FollowButtonFollowMutation"]));

  test("the button offers to withdraw the request", () =>
    shows(() => button(`Withdraw request to ${kate.username}`).count(), 1));

  test("a request changes no count and no access", async () => {
    await shows(counts(profile(kate)), { Posts: 1, Following: 0, Followers: 0 });
    await shows(note, 1);
  });

  test("withdrawing the request and asking again sends two mutations", async () => {
    const act = async () => {
      await click(`Withdraw request to ${kate.username}`);
      await click(`Ask to follow ${kate.username}`);
    };
    await sends(act, ["FollowButtonUnfollowMutation", "FollowButtonFollowMutation"]);
  });

  test("after the acceptance, the page reads the profile again", () =>
    sends(() => change("acceptFollowRequest", kate, john), ["ProfileQuery"]));

  test("the button changes to Unfollow", () =>
    shows(() => button(`Unfollow ${kate.username}`).count(), 1));

  test("the profile shows the list of followers in place of the note", async () => {
    await shows(followersList, [john.username]);
    await shows(note, 0);
  });

  test("the timeline shows the earlier posts of the protected user", async () => {
    await click("Your timeline has changed. Show it.");
    await shows(async () => (await timeline()).includes("For followers of kate"), true);
  });

  test("protecting john's account sends one mutation", () =>
    sends(() => click("Protect my account"), ["ProtectButtonMutation"]));

  test("the button offers to end the protection", () =>
    shows(() => button("End protection").count(), 1));

  test("a request to follow john is in his list after a reload", async () => {
    await follow(mary, john);
    await page.reload();
    await shows(requests, [mary.username]);
  });

  test("accepting the request sends one mutation", () =>
    sends(() => click("Accept"), ["FollowRequestsAcceptMutation"]));

  test("the request leaves the list, and john has a follower", async () => {
    await shows(requests, []);
    await shows(counts(you), { Posts: 1, Following: 2, Followers: 1 });
  });
});

describe("blocks and mutes", () => {
  const hint = "Your timeline has changed. Show it.";
  const sees = async () => (await timeline()).includes("For followers of kate");

  test("muting kate sends one mutation", () =>
    sends(() => click("Mute"), ["RelationshipButtonsMuteMutation"]));

  test("the timeline loses the posts of the muted user", async () => {
    await click(hint);
    await shows(sees, false);
  });

  test("a mute keeps the follow", () =>
    shows(() => button(`Unfollow ${kate.username}`).count(), 1));

  test("unmuting kate sends one mutation", () =>
    sends(() => click("Unmute"), ["RelationshipButtonsUnmuteMutation"]));

  test("the timeline has the posts again", async () => {
    await click(hint);
    await shows(sees, true);
  });

  test("blocking kate sends one mutation", () =>
    sends(() => click("Block"), ["RelationshipButtonsBlockMutation"]));

  test("the block ends the follow and removes the follow button", async () => {
    await shows(counts(you), { Posts: 1, Following: 1, Followers: 1 });
    await shows(() => profile(kate).getByRole("button").allTextContents(), ["Unblock", "Mute"]);
  });

  test("unblocking kate sends one mutation", () =>
    sends(() => click("Unblock"), ["RelationshipButtonsUnblockMutation"]));

  test("a block by another user takes no request", async () => {
    await openProfile(paul);
    await shows(() => button(`Follow ${paul.username}`).count(), 1);
    await sends(() => change("block", paul, john), []);
  });

  test("the stream removes the follow button", () =>
    shows(() => button(`Follow ${paul.username}`).count(), 0));

  test("following a user who has blocked john returns a BlockedError", async () => {
    const [{ __typename }] = await follow(john, paul);
    assert.equal(__typename, "BlockedError");
  });
});

// john's account is protected. mary follows him, and he follows mary only.
describe("conversations", () => {
  const question = "Who counts the rooks?";
  const entry = (body) => page.getByRole("list", { name: "Timeline" }).locator("li", { hasText: body });
  const label = (body, name) => () => entry(body).getByLabel(name, { exact: true }).textContent();
  const replies = () =>
    page.getByRole("list", { name: "Replies" }).locator("li > p").allTextContents();

  test("a repost arrives with the name of the user who reposted", async () => {
    const id = await createPost(susan, "A post of susan for all");
    await sends(() => react("repost", mary, id), []);
    await shows(async () => (await timeline())[0], "A post of susan for all");
    await entry("A post of susan for all").getByText(`reposted by ${mary.username}`).waitFor();
  });

  test("liking a post sends one mutation", async () => {
    await createPost(mary, question);
    await shows(async () => (await timeline())[0], question);
    const like = entry(question).getByRole("button", { name: "Like", exact: true });
    await sends(() => like.click(), ["ReactionsLikeMutation"]);
    await shows(label(question, "Likes"), "1");
  });

  test("reposting it sends one mutation", async () => {
    const repost = entry(question).getByRole("button", { name: "Repost", exact: true });
    await sends(() => repost.click(), ["ReactionsRepostMutation"]);
    await shows(label(question, "Reposts"), "1");
    await shows(() => entry(question).getByRole("button", { name: "Unrepost" }).count(), 1);
  });

  test("opening the conversation sends one query", () =>
    sends(() => entry(question).getByText("Replies 0").click(), ["ConversationQuery"]));

  test("a reply whose response is lost shows an error", async () => {
    await page.getByLabel("New reply").fill(`I do, @${mary.username}!`);
    losesNext = true;
    await sends(() => click("Reply"), ["ComposeMutation"]);
    await shows(async () => (await alerts()).length, 1);
    await shows(replies, []);
  });

  test("the same reply, sent again, is there once", async () => {
    await sends(() => click("Reply"), ["ComposeMutation"]);
    await shows(replies, [`I do, @${mary.username}!`]);
    await shows(
      async () => (await timeline()).filter((body) => body.startsWith("I do")),
      [`I do, @${mary.username}!`],
    );
    await entry(question).getByText("Replies 1").waitFor();
  });

  test("the mention in the reply is a link", async () => {
    const link = page.getByRole("list", { name: "Replies" }).getByText(`@${mary.username}`);
    assert.equal(await link.getAttribute("href"), `#${mary.username}`);
  });

  test("the conversation of the reply shows the post before it", async () => {
    const reply = page.getByRole("list", { name: "Replies" }).locator("li");
    await sends(() => reply.getByText("Replies 0").click(), ["ConversationQuery"]);
    const before = page.getByRole("list", { name: "Posts before" }).locator("li > p");
    await shows(() => before.allTextContents(), [question]);
  });
});

describe("notifications", () => {
  const list = page.getByRole("list", { name: "Notifications" });
  const newest = async () => (await list.locator("li").allTextContents())[0];
  const unread = () => page.getByLabel("Unread notifications").textContent();

  test("a like of john's reply arrives without a request", async () => {
    const query = "{ viewer { user { posts(first: 1) { nodes { id } } } } }";
    const [{ id }] = (await execute(john.token, query)).viewer.user.posts.nodes;
    await sends(() => react("like", mary, id), []);
    await shows(newest, `${mary.username}likes your post`);
    await shows(unread, "1");
  });

  test("marking all as read sends one mutation", () =>
    sends(() => click("Mark all as read"), ["NotificationsMarkMutation"]));

  test("all notifications are shown as read", async () => {
    await shows(unread, "0");
    await shows(() => list.locator("li:not(.quiet)").count(), 0);
  });

  test("the notification leads to the conversation of its post", () =>
    sends(() => list.getByText("likes your post").first().click(), []));
});

describe("search", () => {
  const found = (name) => page.getByRole("list", { name, exact: true });

  test("a search sends one query", async () => {
    const search = page.getByLabel("Search", { exact: true });
    await search.fill(`counts rook* ${suffix}`);
    await sends(() => search.press("Enter"), ["SearchQuery"]);
    await shows(() => found("Posts found").locator("li > p").allTextContents(), []);
  });

  test("a search for the words of a post finds it, and users by their names", async () => {
    await createPost(mary, `Word of this test: kestrel${suffix}`);
    const search = page.getByLabel("Search", { exact: true });
    await search.fill(`kestrel${suffix}`);
    await search.press("Enter");
    const posts = found("Posts found").locator("li > p");
    await shows(() => posts.allTextContents(), [`Word of this test: kestrel${suffix}`]);
    await search.fill(mary.username);
    await search.press("Enter");
    await shows(() => found("Users found").getByRole("link").allTextContents(), [mary.username]);
  });
});

describe("timeline marker", () => {
  const note = () => page.getByText("You have read the posts below.").count();

  test("marking the timeline as read sends one mutation", () =>
    sends(() => click("Mark the timeline as read"), ["MarkTimelineReadMutation"]));

  test("the button disappears", () =>
    shows(() => button("Mark the timeline as read").count(), 0));

  test("a new post is above the marker", async () => {
    await createPost(mary, "After the marker");
    await shows(note, 1);
    await shows(() => button("Mark the timeline as read").count(), 1);
  });
});

describe("logout", () => {
  test("a logout sends one mutation", () => sends(() => click("Log out"), ["HomeLogoutMutation"]));

  test("the page shows the login form", () => shows(() => page.getByLabel("Password").count(), 1));

  test("the token is no longer valid", async () => {
    const { errors } = await send(secondAddress, john.token, "{ viewer { email } }");
    assert.equal(errors?.[0].extensions.code, "UNAUTHENTICATED");
  });
});

if (isTrusted) {
  describe("trusted documents", () => {
    test("the server rejects any other document", async () => {
      const { errors } = await send(address, null, "{ __typename }");
      assert.equal(errors?.[0].extensions.code, "DOCUMENT_NOT_TRUSTED");
    });

    test("the page sent ids in place of texts", () => {
      assert(operations.length > 0);
      assert.deepEqual(texts, []);
    });
  });
}

describe("requests of the page", () => {
  test("the page sent no request to another host", () => assert.deepEqual(outside, []));

  test("the page logged no error or warning, and no request failed", () =>
    assert.deepEqual(problems, []));
});
