import { type ApolloClient, ApolloLink } from '@apollo/client'
import { filter, firstValueFrom } from 'rxjs'
import { check } from './check'
import type { Connect } from './client'
import { follow, unfollow } from './follow'
import { type FragmentType, getFragmentData } from './gql'
import { meet } from './people'
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
} from './users'

/** A click on one follow button in a list: the whole screen is right again, and nothing is read anew. */
export async function cacheStory(connect: Connect): Promise<void> {
  const ann = await meet(connect, 'ann')
  const bob = await meet(connect, 'bob')
  const carol = await meet(connect, 'carol')
  const star = await meet(connect, 'star')
  for (const { client } of [bob, carol, ann]) await follow(client, { id: star.id })
  await follow(carol.client, { id: bob.id })

  // What ann has on her screen; bob and she herself are on it several times.
  const list = { query: Followers, variables: { by: { username: star.username }, first: 10 } }
  const bobsProfile = { query: Profile, variables: { by: { id: bob.id } } }
  const bobsFollowers = { query: Followers, variables: { by: { username: bob.username }, first: 10 } }
  const me = { query: Me }
  const annsProfile = { query: Profile, variables: { by: { username: ann.username } } }
  const annsFollowing = { query: Following, variables: { by: { username: ann.username }, first: 10 } }
  const screen: ApolloClient.QueryOptions[] = [list, bobsProfile, bobsFollowers, me, annsProfile, annsFollowing]

  const client = connect(ann.token)
  const requests = countRequests(client)
  const watched = screen.map((part) => watch(client, part))
  const shown = () => watched.map(({ last }) => last())
  const cached = () => screen.map((part) => client.readQuery(part))
  const atTheService = async () => {
    const results = await Promise.all(screen.map((part) => connect(ann.token).query(part)))
    return results.map(({ data }) => data)
  }
  const followersIn = (query: typeof list) =>
    rows(getFragmentData(FollowersPage, client.readQuery(query)?.user)?.followers)
  const followingIn = (query: typeof annsFollowing) =>
    rows(getFragmentData(FollowingPage, client.readQuery(query)?.user)?.following)
  const show = () => ({
    row: followersIn(list).find(({ username }) => username === bob.username),
    bob: profile(client.readQuery(bobsProfile)?.user),
    bobsFollowers: followersIn(bobsFollowers).map(({ username }) => username),
    me: profile(client.readQuery(me)?.viewer?.user),
    ann: profile(client.readQuery(annsProfile)?.user),
    annsFollowing: followingIn(annsFollowing).map(({ username }) => username),
  })
  await Promise.all(watched.map(({ ready }) => ready))

  const before = show()
  const row = { username: bob.username, followers: 1, button: 'NOT_FOLLOWING' }
  const herself = { username: ann.username, followers: 0, following: 1, button: undefined }
  check('before, bob is a row in a list', before.row, row)
  check('before, his profile', before.bob, { ...row, following: 1 })
  check('before, the viewer and her profile', [before.me, before.ann], [herself, herself])
  check('before, the lists', [before.bobsFollowers, before.annsFollowing], [[carol.username], [star.username]])
  check('each query took a request', requests.splice(0).length, screen.length)

  const { changed } = await follow(client, { id: bob.id })
  const after = show()
  check('the viewer follows bob', changed)
  check('the row in the list has its new button and count', after.row, { ...row, followers: 2, button: 'FOLLOWING' })
  check('so has his profile', after.bob, { ...before.bob, followers: 2, button: 'FOLLOWING' })
  check('the viewer follows one more', after.me, { ...herself, following: 2 })
  check('so says her profile', after.ann, { ...herself, following: 2 })
  check('she is at the head of his followers', after.bobsFollowers, [ann.username, carol.username])
  check('he is at the head of those she follows', after.annsFollowing, [bob.username, star.username])
  check('every watcher was told', shown(), cached())
  check('he is in the cache once', JSON.stringify(client.extract()).split(`"username":"${bob.username}"`).length, 2)
  check('the mutation was the only request', requests.splice(0), ['Follow'])
  check('the cache says what the service says', cached(), await atTheService())

  await unfollow(client, { id: bob.id })
  check('unfollowing takes all of it back', show(), before)
  check('every watcher was told that', shown(), cached())
  check('it was one request again', requests.splice(0), ['Unfollow'])
  check('the cache still says what the service says', cached(), await atTheService())
  for (const { stop } of watched) stop()
}

/** The names of the operations that leave the client from now on. */
function countRequests(client: ApolloClient): string[] {
  const names: string[] = []
  const counting = new ApolloLink((operation, forward) => {
    names.push(operation.operationName ?? 'anonymous')
    return forward(operation)
  })
  client.setLink(counting.concat(client.link))
  return names
}

/** What a component does that uses this query: `last` is what it shows. */
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

function profile(user: FragmentType<typeof UserProfile> | null | undefined) {
  const it = getFragmentData(UserProfile, user)
  return it && { username: it.username, followers: it.followersCount, following: it.followingCount, button: button(it) }
}

function button(user: FragmentType<typeof FollowButton>) {
  return getFragmentData(FollowButton, user).viewerRelationship?.followState
}
