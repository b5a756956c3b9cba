import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstValueFrom, shareReplay, Subject, take, takeUntil, timeout, toArray } from 'rxjs'
import { register } from '../src/account'
import { follow, unfollow } from '../src/follow'
import { getFragmentData } from '../src/gql'
import type {
  FollowersPageFragment,
  FollowersQuery,
  HomeQuery,
  TimelinePageFragment,
} from '../src/gql/graphql'
import { explain, Problem } from '../src/problems'
import {
  AcceptFollowRequest,
  Block,
  changeRelationship,
  Mute,
  PrivateLists,
  protect,
} from '../src/relationship'
import {
  createPost,
  deletePost,
  editPost,
  Home,
  PostCard,
  readTimeline,
  type TimelineEvent,
  TimelinePage,
  watchTimeline,
} from '../src/timeline'
import {
  FollowButton,
  Followers,
  FollowersPage,
  Profile,
  UserProfile,
  UserRow,
} from '../src/users'
import { connect, dropSockets, newUser, testIdsOnly, type User } from './support'

const john = await newUser('john')
const susan = await newUser('susan')

test('registration', async (t) => {
  await t.test('two registrations return two users and two tokens', () => {
    assert.notEqual(john.id, susan.id)
    assert.notEqual(john.token, susan.token)
  })

  await t.test('the user error of a taken username names the input field', async () => {
    const email = `other_${john.username}@example.com`
    const registration = register(connect, john.username, email)
    await assert.rejects(registration, { message: /^username: / })
  })
})

test('follow and unfollow', async (t) => {
  const toSusan = { username: susan.username }
  const first = await follow(john.client, toSusan)
  await t.test('a first follow changes the graph, without user errors', () => {
    assert.deepEqual([first.changed, first.userErrors], [true, []])
  })
  await t.test('the payload has the new counts of both users', () => {
    assert.deepEqual([first.user?.followersCount, first.follower?.followingCount], [1, 1])
  })

  const again = await follow(john.client, toSusan)
  await t.test('a second follow changes nothing, without user errors', () => {
    assert.deepEqual([again.changed, again.userErrors], [false, []])
  })

  const unknown = await follow(john.client, { username: `unknown${Date.now()}` })
  const [notFound] = getFragmentData(Problem, unknown.userErrors)
  await t.test('following an unknown user returns a NotFoundError', () => {
    assert.deepEqual([notFound?.__typename, notFound?.code], ['NotFoundError', 'NOT_FOUND'])
  })
  await t.test('the NotFoundError names the argument', () => {
    assert.deepEqual(notFound?.path, ['user'])
  })

  const self = await follow(john.client, { id: john.id })
  const [selfTarget] = getFragmentData(Problem, self.userErrors)
  await t.test("a follow of the viewer's own account returns a SelfTargetError", () => {
    assert.equal(selfTarget?.__typename, 'SelfTargetError')
  })
  await t.test('every user error has an explanation', () => {
    for (const problem of [...unknown.userErrors, ...self.userErrors])
      assert.notEqual(explain(problem), '')
  })

  const undone = await unfollow(john.client, toSusan)
  await t.test('an unfollow changes the graph, the count and the relationship', () => {
    assert.deepEqual(
      [undone.changed, undone.user?.followersCount, undone.relationship?.followState],
      [true, 0, 'NOT_FOLLOWING'],
    )
  })
})

test('pages of followers', async (t) => {
  const fans: string[] = [] // newest first
  for (const name of ['ada', 'ben', 'cleo', 'dan', 'eve']) {
    const fan = await newUser(name)
    await follow(fan.client, { id: susan.id })
    fans.unshift(fan.username)
  }

  const forwards = await readPages(susan, 'forwards')
  await t.test('pages of two, forwards, list all followers', () => {
    assert.deepEqual(forwards.pages, [fans.slice(0, 2), fans.slice(2, 4), fans.slice(4)])
  })
  await t.test('forwards, hasPreviousPage and hasNextPage are accurate', () => {
    assert.deepEqual(forwards.flags, [
      [false, true],
      [true, true],
      [true, false],
    ])
  })
  await t.test('forwards, the cache joins the pages', () => {
    assert.deepEqual(forwards.joined, fans)
  })

  const backwards = await readPages(susan, 'backwards')
  await t.test('pages of two, backwards, list all followers', () => {
    assert.deepEqual(backwards.pages, [fans.slice(3), fans.slice(1, 3), fans.slice(0, 1)])
  })
  await t.test('backwards, hasPreviousPage and hasNextPage are accurate', () => {
    assert.deepEqual(backwards.flags, [
      [true, false],
      [true, true],
      [false, true],
    ])
  })
  await t.test('backwards, the cache joins the pages', () => {
    assert.deepEqual(backwards.joined, fans)
  })
})

test('timeline', async (t) => {
  await follow(john.client, { id: susan.id })
  await createPost(susan.client, 'one')
  await readTimeline(john.client)
  await createPost(john.client, 'two')
  await t.test("the viewer's new post is first in the cached timeline at once", () => {
    assert.deepEqual(cachedBodies(john), ['two', 'one'])
  })

  await createPost(susan.client, 'three')
  await readTimeline(john.client)
  await t.test('the timeline has own and followed posts, newest first', () => {
    assert.deepEqual(cachedBodies(john), ['three', 'two', 'one'])
  })
  await t.test('each edge has the reason why the post is in the timeline', () => {
    const reasons = edgesOf(john.client.readQuery({ query: Home })).map(({ reason }) => reason)
    assert.deepEqual(reasons, ['FOLLOWING', 'OWN', 'FOLLOWING'])
  })
})

test('a repeated post', async (t) => {
  const ida = await newUser('ida')
  const key = crypto.randomUUID()
  const { post } = await createPost(ida.client, 'once', key)
  assert(post)
  await t.test('the same key and text return the first post', async () => {
    const repeated = await createPost(ida.client, 'once', key)
    assert.deepEqual([repeated.post?.id, repeated.post?.author.postsCount], [post.id, 1])
  })
  await t.test('the same key with another text is a user error', async () => {
    const { userErrors } = await createPost(ida.client, 'twice', key)
    const [problem] = getFragmentData(Problem, userErrors)
    assert.equal(problem?.__typename, 'IdempotencyError')
  })
})

test('live timeline', async (t) => {
  const { userId, streamCursor } = await readTimeline(john.client)
  await createPost(susan.client, 'before the subscription')

  const stop = new Subject<void>()
  t.after(() => stop.next())
  const events = watchTimeline(john.client, userId, streamCursor).pipe(
    takeUntil(stop),
    shareReplay(),
  )
  const received = (count: number) =>
    firstValueFrom(events.pipe(take(count), toArray(), timeout(10_000)))
  const nth = async (count: number) => (await received(count)).map(describeEvent).at(-1)
  await t.test('a post from between the page and the subscription arrives', async () => {
    assert.equal(await nth(1), '+before the subscription')
  })

  const { post } = await createPost(susan.client, 'live')
  await t.test('a new post arrives', async () => {
    assert.equal(await nth(2), '+live')
  })

  await t.test('the subscription uses one connection, which is dropped now', () => {
    assert.equal(dropSockets(), 1)
  })
  await createPost(susan.client, 'while disconnected')
  await t.test('a post from during the interruption arrives', async () => {
    assert.equal(await nth(3), '+while disconnected')
  })
  await t.test('no post arrives twice', async () => {
    const expected = ['+before the subscription', '+live', '+while disconnected']
    assert.deepEqual((await received(3)).map(describeEvent), expected)
  })

  assert(post)
  await editPost(susan.client, post.id, 'edited')
  await t.test('an edit arrives', async () => {
    assert.equal(await nth(4), 'TimelinePostUpdated')
  })
  const bodies = ['while disconnected', 'edited', 'before the subscription', 'three', 'two', 'one']
  await t.test('the cached timeline has every post, with the edit', () => {
    assert.deepEqual(cachedBodies(john), bodies)
  })

  await deletePost(susan.client, post.id)
  await t.test('a removal arrives', async () => {
    assert.equal(await nth(5), 'TimelinePostRemoved')
  })
  await t.test('the cached timeline no longer has the post', () => {
    assert.deepEqual(
      cachedBodies(john),
      bodies.filter((body) => body !== 'edited'),
    )
  })

  await unfollow(john.client, { id: susan.id })
  await t.test('an unfollow resets the timeline', async () => {
    assert.equal(await nth(6), 'TimelineReset')
  })
  await t.test("the cached timeline has the viewer's own post only", () => {
    assert.deepEqual(cachedBodies(john), ['two'])
  })
})

test('live timeline with an invalid token', async (t) => {
  const { userId, streamCursor } = await readTimeline(john.client)
  const events = watchTimeline(connect('wrong'), userId, streamCursor).pipe(timeout(10_000))
  const error = await firstValueFrom(events).catch((error: Error) => error.message)
  await t.test('the subscription ends at once with 4403', () => {
    assert.equal(error, 'Socket closed with event 4403 Forbidden')
  })
})

test('protected accounts, blocks and mutes', async (t) => {
  const ada = await newUser('ada')
  const toAda = { id: ada.id }
  await createPost(ada.client, 'for followers')
  const { user: adasUser } = await protect(ada.client, true)
  await t.test('an account can be protected', () => {
    assert.equal(adasUser?.isProtected, true)
  })

  const profile = { query: Profile, variables: { by: toAda } }
  await Promise.all([john.client.query(profile), privateLists(john)])
  const cached = () => {
    const user = getFragmentData(UserProfile, john.client.readQuery(profile)?.user)
    assert(user)
    const { viewerRelationship } = getFragmentData(FollowButton, user)
    return [viewerRelationship?.followState, user.viewerCanSee, user.followersCount]
  }
  const request = await follow(john.client, toAda)
  await t.test('a follow of a protected user is a request', () => {
    assert.deepEqual([request.changed, request.userErrors, request.followerEdge], [true, [], null])
  })
  await t.test('a request changes the cached button, and neither the count nor the access', () => {
    assert.deepEqual(cached(), ['REQUESTED', false, 0])
  })
  await t.test('both users have the request in their lists', async () => {
    assert.deepEqual(await privateLists(john), [[], [ada.username], [], []])
    assert.deepEqual(await privateLists(ada), [[john.username], [], [], []])
  })

  const { userId, streamCursor } = await readTimeline(john.client)
  const stop = new Subject<void>()
  t.after(() => stop.next())
  const events = watchTimeline(john.client, userId, streamCursor).pipe(
    takeUntil(stop),
    shareReplay(),
  )
  const nth = async (count: number) =>
    (await firstValueFrom(events.pipe(take(count), toArray(), timeout(10_000)))).at(-1)?.__typename
  const accepted = await changeRelationship(ada.client, AcceptFollowRequest, { id: john.id })
  await t.test('the user accepts the request', () => {
    assert.deepEqual([accepted.changed, accepted.relationship?.followedBy], [true, true])
  })
  await t.test("the acceptance resets the follower's timeline", async () => {
    assert.equal(await nth(1), 'TimelineReset')
  })
  await t.test("the follower's cached button shows the follow", () => {
    assert.deepEqual(cached(), ['FOLLOWING', true, 1])
  })
  await t.test("the follower's timeline has the earlier posts", () => {
    assert(cachedBodies(john).includes('for followers'))
  })
  await t.test('the request has left both lists', async () => {
    assert.deepEqual(await privateLists(john), [[], [], [], []])
    assert.deepEqual(await privateLists(ada), [[], [], [], []])
  })

  const muted = await changeRelationship(john.client, Mute, toAda)
  await t.test('a mute keeps the follow', () => {
    assert.deepEqual([muted.relationship?.muting, cached()], [true, ['FOLLOWING', true, 1]])
  })
  await t.test('a mute removes the posts from the cached timeline', async () => {
    assert.equal(await nth(2), 'TimelineReset')
    assert(!cachedBodies(john).includes('for followers'))
  })
  await t.test('the muted user is in the list of mutes', async () => {
    assert.deepEqual(await privateLists(john), [[], [], [], [ada.username]])
  })

  const blocked = await changeRelationship(ada.client, Block, { id: john.id })
  await t.test('a block ends the follow', () => {
    const { blocking, followedBy } = blocked.relationship ?? {}
    assert.deepEqual([blocking, followedBy, blocked.viewer?.user.followersCount], [true, false, 0])
  })
  await t.test('the blocked user is in the list of blocks', async () => {
    assert.deepEqual(await privateLists(ada), [[], [], [john.username], []])
  })
  const refused = await follow(john.client, toAda)
  const [problem] = getFragmentData(Problem, refused.userErrors)
  await t.test('a follow despite a block returns a BlockedError', () => {
    assert.deepEqual([problem?.__typename, problem?.code], ['BlockedError', 'BLOCKED'])
  })
})

testIdsOnly()

/** The usernames in the viewer's lists: received requests, sent requests, blocks and mutes. */
async function privateLists({ client }: User): Promise<string[][]> {
  const { viewer } = (await client.query({ query: PrivateLists })).data
  assert(viewer)
  const { followRequests, sentFollowRequests, blockedUsers, mutedUsers } = viewer
  const lists = [followRequests, sentFollowRequests, blockedUsers, mutedUsers]
  return lists.map(({ edges }) => edges.map(({ node }) => node.username))
}

/** Reads all followers, two at a time. `flags`: each page's `hasPreviousPage` and `hasNextPage`. */
async function readPages({ username }: User, direction: 'forwards' | 'backwards') {
  const client = connect()
  const start = direction === 'forwards' ? { first: 2 } : { last: 2 }
  const query = { query: Followers, variables: { by: { username }, ...start } }
  const list = client.watchQuery(query)
  const pages: string[][] = []
  const flags: [boolean, boolean][] = []
  let page = followersOf((await client.query(query)).data)
  for (;;) {
    const { hasPreviousPage, hasNextPage, startCursor, endCursor } = page.pageInfo
    pages.push(usernames(page))
    flags.push([hasPreviousPage, hasNextPage])
    if (!(direction === 'forwards' ? hasNextPage : hasPreviousPage)) break
    const variables = direction === 'forwards' ? { after: endCursor } : { before: startCursor }
    page = followersOf((await list.fetchMore({ variables })).data)
  }
  return { pages, flags, joined: usernames(followersOf(client.readQuery(query))) }
}

function followersOf(data: FollowersQuery | null): FollowersPageFragment['followers'] {
  assert(data?.user)
  return getFragmentData(FollowersPage, data.user).followers
}

function usernames(page: FollowersPageFragment['followers']): string[] {
  return page.edges.map(({ node }) => getFragmentData(UserRow, node).username)
}

function describeEvent(event: TimelineEvent): string {
  return event.__typename === 'TimelinePostAdded'
    ? `+${getFragmentData(PostCard, event.edge.node).body}`
    : event.__typename
}

function cachedBodies({ client }: User): string[] {
  return edgesOf(client.readQuery({ query: Home })).map(
    ({ node }) => getFragmentData(PostCard, node).body,
  )
}

function edgesOf(data: HomeQuery | null): TimelinePageFragment['timeline']['edges'] {
  return data?.viewer ? getFragmentData(TimelinePage, data.viewer.user).timeline.edges : []
}
