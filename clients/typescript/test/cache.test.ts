import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApolloClient, ApolloLink } from '@apollo/client'
import { filter, firstValueFrom } from 'rxjs'
import { follow, unfollow } from '../src/follow'
import { type FragmentType, getFragmentData } from '../src/gql'
import {
  FollowButton,
  Followers,
  FollowersPage,
  Following,
  FollowingPage,
  Me,
  Profile,
  UserProfile,
  UserRow,
} from '../src/users'
import { connect, newUser, testIdsOnly } from './support'

// A screen of ann's, on which bob and ann appear several times. A click on a single follow button
// updates all of it, without another request.
test('the cache after a follow and an unfollow', async (t) => {
  const ann = await newUser('ann')
  const bob = await newUser('bob')
  const carol = await newUser('carol')
  const star = await newUser('star')
  for (const { client } of [bob, carol, ann]) await follow(client, { id: star.id })
  await follow(carol.client, { id: bob.id })

  const starsFollowers = {
    query: Followers,
    variables: { by: { username: star.username }, first: 10 },
  }
  const bobsProfile = { query: Profile, variables: { by: { id: bob.id } } }
  const bobsFollowers = {
    query: Followers,
    variables: { by: { username: bob.username }, first: 10 },
  }
  const me = { query: Me }
  const annsProfile = { query: Profile, variables: { by: { username: ann.username } } }
  const annsFollowing = {
    query: Following,
    variables: { by: { username: ann.username }, first: 10 },
  }
  const screen: ApolloClient.QueryOptions[] = [
    starsFollowers,
    bobsProfile,
    bobsFollowers,
    me,
    annsProfile,
    annsFollowing,
  ]

  const client = connect(ann.token)
  const requests = recordRequests(client)
  const watched = screen.map((part) => watch(client, part))
  t.after(() => {
    for (const { stop } of watched) stop()
  })
  const shown = () => watched.map(({ last }) => last())
  const cached = () => screen.map((part) => client.readQuery(part))
  const onServer = async () => {
    const results = await Promise.all(screen.map((part) => connect(ann.token).query(part)))
    return results.map(({ data }) => data)
  }
  const followersIn = (query: typeof starsFollowers) =>
    rows(getFragmentData(FollowersPage, client.readQuery(query)?.user)?.followers)
  const followingIn = (query: typeof annsFollowing) =>
    rows(getFragmentData(FollowingPage, client.readQuery(query)?.user)?.following)
  const read = () => ({
    row: followersIn(starsFollowers).find(({ username }) => username === bob.username),
    bob: profile(client.readQuery(bobsProfile)?.user),
    bobsFollowers: followersIn(bobsFollowers).map(({ username }) => username),
    me: profile(client.readQuery(me)?.viewer?.user),
    ann: profile(client.readQuery(annsProfile)?.user),
    annsFollowing: followingIn(annsFollowing).map(({ username }) => username),
  })
  await Promise.all(watched.map(({ ready }) => ready))

  const before = read()
  const row = { username: bob.username, followers: 1, button: 'NOT_FOLLOWING' }
  const viewer = { username: ann.username, followers: 0, following: 1, button: undefined }
  await t.test("before, bob is in the list of star's followers", () => {
    assert.deepEqual(before.row, row)
  })
  await t.test("before, bob's profile has the same count and button", () => {
    assert.deepEqual(before.bob, { ...row, following: 1 })
  })
  await t.test('before, the viewer and her profile follow one user', () => {
    assert.deepEqual([before.me, before.ann], [viewer, viewer])
  })
  await t.test('before, carol follows bob, and ann follows star', () => {
    assert.deepEqual(
      [before.bobsFollowers, before.annsFollowing],
      [[carol.username], [star.username]],
    )
  })
  await t.test('each query takes one request', () => {
    assert.equal(requests.splice(0).length, screen.length)
  })

  const { changed } = await follow(client, { id: bob.id })
  const after = read()
  await t.test('the follow changes the graph', () => {
    assert.equal(changed, true)
  })
  await t.test("bob's row has the new button and count", () => {
    assert.deepEqual(after.row, { ...row, followers: 2, button: 'FOLLOWING' })
  })
  await t.test("bob's profile has the new button and count", () => {
    assert.deepEqual(after.bob, { ...before.bob, followers: 2, button: 'FOLLOWING' })
  })
  await t.test('the viewer follows two users', () => {
    assert.deepEqual(after.me, { ...viewer, following: 2 })
  })
  await t.test("the viewer's profile follows two users", () => {
    assert.deepEqual(after.ann, { ...viewer, following: 2 })
  })
  await t.test("ann is first in the list of bob's followers", () => {
    assert.deepEqual(after.bobsFollowers, [ann.username, carol.username])
  })
  await t.test('bob is first in the list of users that ann follows', () => {
    assert.deepEqual(after.annsFollowing, [bob.username, star.username])
  })
  await t.test('every watched query has received its new result', () => {
    assert.deepEqual(shown(), cached())
  })
  await t.test('bob is in the cache once', () => {
    assert.equal(JSON.stringify(client.extract()).split(`"username":"${bob.username}"`).length, 2)
  })
  await t.test('the mutation is the only request', () => {
    assert.deepEqual(requests.splice(0), ['Follow'])
  })
  await t.test('the cache equals the state of the server', async () => {
    assert.deepEqual(cached(), await onServer())
  })

  await unfollow(client, { id: bob.id })
  await t.test('an unfollow restores the screen', () => {
    assert.deepEqual(read(), before)
  })
  await t.test('every watched query has received its result after the unfollow', () => {
    assert.deepEqual(shown(), cached())
  })
  await t.test('the unfollow is the only request', () => {
    assert.deepEqual(requests.splice(0), ['Unfollow'])
  })
  await t.test('the cache equals the state of the server after the unfollow', async () => {
    assert.deepEqual(cached(), await onServer())
  })
})

testIdsOnly()

/** The names of the operations that the client sends from now on. */
function recordRequests(client: ApolloClient): string[] {
  const names: string[] = []
  const recording = new ApolloLink((operation, forward) => {
    names.push(operation.operationName ?? 'anonymous')
    return forward(operation)
  })
  client.setLink(recording.concat(client.link))
  return names
}

/** Watches a query as a component does. `last` returns what the component shows. */
function watch(client: ApolloClient, part: ApolloClient.QueryOptions) {
  let shown: unknown
  const query = client.watchQuery(part)
  const subscription = query.subscribe(({ data }) => (shown = data))
  const ready = firstValueFrom(query.pipe(filter(({ dataState }) => dataState === 'complete')))
  return { ready, last: () => shown, stop: () => subscription.unsubscribe() }
}

interface Page {
  readonly edges: readonly { readonly node: FragmentType<typeof UserRow> }[]
}

function rows(page: Page | undefined) {
  return (page?.edges ?? []).map(({ node }) => {
    const row = getFragmentData(UserRow, node)
    return { username: row.username, followers: row.followersCount, button: button(row) }
  })
}

function profile(masked: FragmentType<typeof UserProfile> | null | undefined) {
  const user = getFragmentData(UserProfile, masked)
  return (
    user && {
      username: user.username,
      followers: user.followersCount,
      following: user.followingCount,
      button: button(user),
    }
  )
}

function button(user: FragmentType<typeof FollowButton>) {
  return getFragmentData(FollowButton, user).viewerRelationship?.followState
}
