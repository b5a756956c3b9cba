import { firstValueFrom, shareReplay, Subject, take, takeUntil, timeout, toArray } from 'rxjs'
import { check } from './check'
import type { Connect } from './client'
import { follow, unfollow } from './follow'
import { getFragmentData } from './gql'
import type { FollowersPageFragment, FollowersQuery, HomeQuery, TimelinePageFragment } from './gql/graphql'
import { meet, type Person, register } from './people'
import { explain, Problem } from './problems'
import { cutSockets } from './socket'
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
} from './timeline'
import { Followers, FollowersPage, UserRow } from './users'

export async function story(connect: Connect): Promise<void> {
  const john = await meet(connect, 'john')
  const susan = await meet(connect, 'susan')
  check('two users have registered', john.id !== susan.id && john.token !== susan.token)
  await following(connect, john, susan)
  await paging(connect, susan)
  await timeline(john, susan)
  await live(john, susan)
  await refused(connect, john)
}

async function following(connect: Connect, john: Person, susan: Person): Promise<void> {
  const toSusan = { username: susan.username }
  const first = await follow(john.client, toSusan)
  check('follow changes something, and nothing is wrong', [first.changed, first.userErrors], [true, []])
  check('its payload has both counts', [first.user?.followersCount, first.follower?.followingCount], [1, 1])
  const again = await follow(john.client, toSusan)
  check('following again is a success that changes nothing', [again.changed, again.userErrors], [false, []])

  const unknown = await follow(john.client, { username: `nobody${Date.now()}` })
  const [notFound] = getFragmentData(Problem, unknown.userErrors)
  check('following nobody is a typed error', [notFound?.__typename, notFound?.code], ['NotFoundError', 'NOT_FOUND'])
  check('with the argument at fault', notFound?.path, ['user'])
  const oneself = await follow(john.client, { id: john.id })
  const [selfTarget] = getFragmentData(Problem, oneself.userErrors)
  check('following oneself is another type', selfTarget?.__typename, 'SelfTargetError')
  check(
    'each can be explained',
    [...unknown.userErrors, ...oneself.userErrors].every((problem) => explain(problem) !== ''),
  )
  const taken = await register(connect, john.username).catch((error: Error) => error.message)
  check('a taken name is explained beside its input', String(taken).startsWith('username: '))

  const undone = await unfollow(john.client, toSusan)
  check(
    'unfollow changes something',
    [undone.changed, undone.user?.followersCount, undone.relationship?.followState],
    [true, 0, 'NOT_FOLLOWING'],
  )
}

async function paging(connect: Connect, susan: Person): Promise<void> {
  const fans: string[] = []
  for (const name of ['ada', 'ben', 'cleo', 'dan', 'eve']) {
    const fan = await meet(connect, name)
    await follow(fan.client, { id: susan.id })
    fans.unshift(fan.username)
  }

  const forwards = await walk(connect, susan, 'forwards')
  check('pages of two, forwards', forwards.pages, [fans.slice(0, 2), fans.slice(2, 4), fans.slice(4)])
  check('forwards, PageInfo is true both ways', forwards.flags, [
    [false, true],
    [true, true],
    [true, false],
  ])
  check('forwards, the cache joins the pages', forwards.joined, fans)

  const backwards = await walk(connect, susan, 'backwards')
  check('pages of two, backwards', backwards.pages, [fans.slice(3), fans.slice(1, 3), fans.slice(0, 1)])
  check('backwards, PageInfo is true both ways', backwards.flags, [
    [true, false],
    [true, true],
    [false, true],
  ])
  check('backwards, the cache joins the pages', backwards.joined, fans)
}

/** Reads all followers, two at a time; `flags` are `hasPreviousPage` and `hasNextPage` of each page. */
async function walk(connect: Connect, { username }: Person, direction: 'forwards' | 'backwards') {
  const client = connect()
  const start = direction === 'forwards' ? { first: 2 } : { last: 2 }
  const query = { query: Followers, variables: { by: { username }, ...start } }
  const list = client.watchQuery(query)
  const pages: string[][] = []
  const flags: [boolean, boolean][] = []
  let page = followersOf((await client.query(query)).data)
  for (;;) {
    const { hasPreviousPage, hasNextPage, startCursor, endCursor } = page.pageInfo
    pages.push(names(page))
    flags.push([hasPreviousPage, hasNextPage])
    if (!(direction === 'forwards' ? hasNextPage : hasPreviousPage)) break
    const variables = direction === 'forwards' ? { after: endCursor } : { before: startCursor }
    page = followersOf((await list.fetchMore({ variables })).data)
  }
  return { pages, flags, joined: names(followersOf(client.readQuery(query))) }
}

function followersOf(data: FollowersQuery | null): FollowersPageFragment['followers'] {
  if (!data?.user) throw new Error('no such user')
  return getFragmentData(FollowersPage, data.user).followers
}

function names(page: FollowersPageFragment['followers']): string[] {
  return page.edges.map(({ node }) => getFragmentData(UserRow, node).username)
}

async function timeline(john: Person, susan: Person): Promise<void> {
  await follow(john.client, { id: susan.id })
  await createPost(susan.client, 'one')
  await readTimeline(john.client)
  await createPost(john.client, 'two')
  check('an own post is at the head of the cached timeline at once', bodies(john), ['two', 'one'])
  await createPost(susan.client, 'three')
  await readTimeline(john.client)
  check('own and followed posts, newest first', bodies(john), ['three', 'two', 'one'])
  const reasons = edgesOf(john.client.readQuery({ query: Home })).map(({ reason }) => reason)
  check('each says why it is there', reasons, ['FOLLOWING', 'OWN', 'FOLLOWING'])
}

async function live(john: Person, susan: Person): Promise<void> {
  const { userId, streamCursor } = await readTimeline(john.client)
  await createPost(susan.client, 'before the subscription')

  const stop = new Subject<void>()
  const events = watchTimeline(john.client, userId, streamCursor).pipe(takeUntil(stop), shareReplay())
  const arrived = (count: number) => firstValueFrom(events.pipe(take(count), toArray(), timeout(10_000)))
  const last = async (count: number) => (await arrived(count)).map(tell).at(-1)
  check('what was posted between page and subscription arrives', await last(1), '+before the subscription')
  const { post } = await createPost(susan.client, 'live')
  check('what is posted now arrives', await last(2), '+live')
  check('the connection is cut', cutSockets(), 1)
  await createPost(susan.client, 'while away')
  check('what was posted meanwhile arrives', await last(3), '+while away')
  check('nothing came twice', (await arrived(3)).map(tell), ['+before the subscription', '+live', '+while away'])

  if (!post) throw new Error('no post')
  await editPost(susan.client, post.id, 'edited')
  check('an edit arrives', await last(4), 'TimelinePostUpdated')
  const shown = ['while away', 'edited', 'before the subscription', 'three', 'two', 'one']
  check('the cached timeline has it all', bodies(john), shown)
  await deletePost(susan.client, post.id)
  check('a removal arrives', await last(5), 'TimelinePostRemoved')
  check(
    'and the cached timeline is without the post',
    bodies(john),
    shown.filter((body) => body !== 'edited'),
  )
  await unfollow(john.client, { id: susan.id })
  check('an unfollow resets the timeline', await last(6), 'TimelineReset')
  check('and the cache has the new one', bodies(john), ['two'])
  stop.next()
}

async function refused(connect: Connect, john: Person): Promise<void> {
  const { userId, streamCursor } = await readTimeline(john.client)
  const events = watchTimeline(connect('wrong'), userId, streamCursor).pipe(timeout(10_000))
  const error = await firstValueFrom(events).catch((error: Error) => error.message)
  check('with a wrong token, a live timeline ends at once', error, 'Socket closed with event 4403 Forbidden')
}

function tell(event: TimelineEvent): string {
  return event.__typename === 'TimelinePostAdded'
    ? `+${getFragmentData(PostCard, event.edge.node).body}`
    : event.__typename
}

function bodies({ client }: Person): string[] {
  return edgesOf(client.readQuery({ query: Home })).map(({ node }) => getFragmentData(PostCard, node).body)
}

function edgesOf(data: HomeQuery | null): TimelinePageFragment['timeline']['edges'] {
  return data?.viewer ? getFragmentData(TimelinePage, data.viewer.user).timeline.edges : []
}
