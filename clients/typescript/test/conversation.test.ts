import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstValueFrom, shareReplay, Subject, take, takeUntil, timeout, toArray } from 'rxjs'
import { Conversation, RepliesPage } from '../src/conversation'
import { follow } from '../src/follow'
import { getFragmentData } from '../src/gql'
import { countUnread, Marker, markTimelineRead } from '../src/marker'
import { splitText } from '../src/mentions'
import {
  Inbox,
  markNotificationsRead,
  NotificationRow,
  NotificationsPage,
  readInbox,
  watchNotifications,
} from '../src/notifications'
import { Problem } from '../src/problems'
import { Like, react, Repost, Unlike, Unrepost } from '../src/reactions'
import { changeRelationship, Block } from '../src/relationship'
import { Search } from '../src/search'
import { createPost, deletePost, Home, PostCard, readTimeline, TimelinePage } from '../src/timeline'
import { UserRow } from '../src/users'
import { dropSockets, newUser, testIdsOnly, type User } from './support'

const john = await newUser('john')
const susan = await newUser('susan')
const mary = await newUser('mary')
await follow(john.client, { id: susan.id })

test('likes and reposts', async (t) => {
  const id = await post(mary, 'A post of mary')
  await follow(susan.client, { id: mary.id })
  const reposted = await react(susan.client, Repost, id)
  await t.test('a first repost changes the graph, without user errors', () => {
    assert.deepEqual([reposted.changed, reposted.userErrors], [true, []])
  })
  await readTimeline(john.client)
  await t.test("a follower's timeline has the entry, with the user who reposted", () => {
    const [entry] = entries(john)
    assert.deepEqual(
      [entry?.reason, entry?.repostedBy?.username, entry?.node.id],
      ['REPOST', susan.username, id],
    )
  })

  const card = () => {
    const found = entries(john).find(({ node }) => node.id === id)
    assert(found)
    const post = getFragmentData(PostCard, found.node)
    return [post.likesCount, post.viewerHasLiked, post.repostsCount, post.viewerHasReposted]
  }
  await t.test('the post has its counts', () => {
    assert.deepEqual(card(), [0, false, 1, false])
  })
  await react(john.client, Like, id)
  await react(john.client, Repost, id)
  await t.test('a like and a repost update the cached post', () => {
    assert.deepEqual(card(), [1, true, 2, true])
  })
  const again = await react(john.client, Like, id)
  await t.test('a second like changes nothing, without user errors', () => {
    assert.deepEqual([again.changed, again.userErrors], [false, []])
  })
  await react(john.client, Unlike, id)
  await react(john.client, Unrepost, id)
  await t.test('their opposites restore the cached post', () => {
    assert.deepEqual(card(), [0, false, 1, false])
  })
})

test('a conversation', async (t) => {
  const question = await post(susan, 'Who counts the rooks?')
  const conversation = { query: Conversation, variables: { id: question } }
  const replies = john.client.watchQuery(conversation)
  const subscription = replies.subscribe(() => {})
  t.after(() => subscription.unsubscribe())
  const read = async () => {
    const { node } = (await john.client.query(conversation)).data
    assert(node?.__typename === 'Post')
    const { edges } = getFragmentData(RepliesPage, node).replies
    return [
      getFragmentData(PostCard, node).repliesCount,
      ...edges.map((edge) => getFragmentData(PostCard, edge.node).body),
    ]
  }
  await t.test('a new post has no replies', async () => {
    assert.deepEqual(await read(), [0])
  })
  const answer = await post(john, 'I do.', question)
  await t.test('a reply changes the cached count, and the list is read again', async () => {
    assert.deepEqual(await read(), [1, 'I do.'])
  })
  const thanks = await post(susan, 'Thank you!', answer)
  await t.test('a reply has the posts above it, from the oldest on', async () => {
    const { node } = (
      await john.client.query({ query: Conversation, variables: { id: thanks } })
    ).data
    assert(node?.__typename === 'Post')
    assert.deepEqual([node.isReply, node.viewerCanReply], [true, true])
    assert.deepEqual(
      node.ancestors.map((ancestor) => ancestor.id),
      [question, answer],
    )
  })
  await t.test('a reply despite a block returns a BlockedError', async () => {
    const paul = await newUser('paul')
    await changeRelationship(susan.client, Block, { id: paul.id })
    const { userErrors } = await createPost(paul.client, 'And I?', undefined, question)
    const [problem] = getFragmentData(Problem, userErrors)
    assert.equal(problem?.__typename, 'BlockedError')
  })
})

test('mentions', async (t) => {
  const body = `🐦 @${susan.username} and @unknown_name_of_no_user, look!`
  const { timelineEdge } = await createPost(john.client, body)
  assert(timelineEdge)
  const { mentions } = getFragmentData(PostCard, timelineEdge.node)
  await t.test('a text is split at its mentions, also after a character outside the BMP', () => {
    assert.deepEqual(
      splitText(body, mentions).map(({ text, user }) => [text, user?.id]),
      [
        ['🐦 ', undefined],
        [`@${susan.username}`, susan.id],
        [' and @unknown_name_of_no_user, look!', undefined],
      ],
    )
  })
})

test('notifications', async (t) => {
  const ada = await newUser('ada')
  const id = await post(ada, 'A post of ada')
  const streamCursor = await readInbox(ada.client)
  await react(john.client, Like, id)

  const stop = new Subject<void>()
  t.after(() => stop.next())
  const events = watchNotifications(ada.client, streamCursor).pipe(takeUntil(stop), shareReplay())
  const nth = async (count: number) =>
    (await firstValueFrom(events.pipe(take(count), toArray(), timeout(10_000)))).at(-1)?.__typename
  await t.test('a like from between the page and the subscription arrives', async () => {
    assert.equal(await nth(1), 'NotificationAdded')
    assert.deepEqual(inbox(ada), [1, [john.username, 'LIKE', 'A post of ada', false]])
  })

  const reply = await post(susan, `Well said, @${ada.username}!`, id)
  await t.test('a reply with a mention of the author is one notification', async () => {
    assert.equal(await nth(2), 'NotificationAdded')
    const [count, first, second] = inbox(ada)
    assert.deepEqual(
      [count, first, second?.[1]],
      [2, [susan.username, 'REPLY', `Well said, @${ada.username}!`, false], 'LIKE'],
    )
  })

  await t.test('the subscription uses one connection, which is dropped now', () => {
    assert.equal(dropSockets(), 1)
  })
  await react(john.client, Unlike, id)
  await t.test('the end of the like, from during the interruption, removes its entry', async () => {
    assert.equal(await nth(3), 'NotificationRemoved')
    const [count, ...rows] = inbox(ada)
    assert.deepEqual([count, rows.map(([, type]) => type)], [1, ['REPLY']])
  })

  const marked = await markNotificationsRead(ada.client)
  await t.test('all are marked as read', () => {
    assert.deepEqual([marked.changed, marked.viewer?.unreadNotificationsCount], [true, 0])
  })
  await t.test('the event marks the cached entries', async () => {
    assert.equal(await nth(4), 'NotificationsRead')
    assert.deepEqual(inbox(ada), [
      0,
      [susan.username, 'REPLY', `Well said, @${ada.username}!`, true],
    ])
  })
  await deletePost(susan.client, reply)
  await t.test('a deleted post has taken its notification with it at the next read', async () => {
    await readInbox(ada.client)
    assert.deepEqual(inbox(ada), [0])
  })
})

test('search', async (t) => {
  const word = `kestrel${Math.random().toString(36).slice(2)}`
  const ids = [await post(susan, `A ${word} in May`), await post(john, `Two of them: ${word}!`)]
  const search = async (query: string, by?: { username: string }) => {
    const { data } = await mary.client.query({ query: Search, variables: { query, by: by ?? null } })
    return {
      posts: data.searchPosts.edges.map(({ node }) => node.id),
      users: data.searchUsers.map((user) => getFragmentData(UserRow, user).username),
    }
  }
  await t.test('posts are found by a word, newest first', async () => {
    assert.deepEqual((await search(word)).posts, ids.toReversed())
  })
  await t.test('posts are found by all of several words, and by the beginning of a word', async () => {
    assert.deepEqual((await search(`may ${word.slice(0, -1)}*`)).posts, [ids[0]])
  })
  await t.test('posts of one user are found', async () => {
    assert.deepEqual((await search(word, { username: john.username })).posts, [ids[1]])
  })
  await t.test('users are found by the beginning of the username', async () => {
    assert.deepEqual((await search(susan.username.slice(0, -1))).users, [susan.username])
  })
})

test('timeline marker', async (t) => {
  const kate = await newUser('kate')
  for (const body of ['one', 'two', 'three']) await post(kate, body)
  await t.test('a new user has no marker', async () => {
    assert.equal(await countUnread(kate.client), null)
  })
  await readTimeline(kate.client)
  const [three, two] = entries(kate)
  assert(three && two)
  const marked = await markTimelineRead(kate.client, two.cursor)
  await t.test('the marker moves to an entry', () => {
    assert.deepEqual([marked.changed, marked.timelineMarker], [true, two.cursor])
  })
  await t.test('the cache has the marker', () => {
    assert.equal(kate.client.readQuery({ query: Marker })?.viewer?.timelineMarker, two.cursor)
  })
  await t.test('one entry is above the marker, and the cached timeline has all entries', async () => {
    assert.equal(await countUnread(kate.client), 1)
    assert.equal(entries(kate).length, 3)
  })
  await t.test('the marker does not move back', async () => {
    await markTimelineRead(kate.client, three.cursor)
    const { changed } = await markTimelineRead(kate.client, two.cursor)
    assert.deepEqual([changed, await countUnread(kate.client)], [false, 0])
  })
})

testIdsOnly()

/** Creates a post, and returns its id. */
async function post({ client }: User, body: string, inReplyToId?: string): Promise<string> {
  const { post } = await createPost(client, body, undefined, inReplyToId)
  assert(post)
  return post.id
}

/** The entries of the cached timeline. */
function entries({ client }: User) {
  const viewer = client.readQuery({ query: Home })?.viewer
  return viewer ? getFragmentData(TimelinePage, viewer.user).timeline.edges : []
}

/** The cached number of unread notifications, and the rows of the cached list. */
function inbox({ client }: User) {
  const viewer = client.readQuery({ query: Inbox })?.viewer
  assert(viewer)
  const { edges } = getFragmentData(NotificationsPage, viewer).notifications
  const rows = edges.map(({ node }) => {
    const { actor, type, post } = getFragmentData(NotificationRow, node)
    return [actor.username, type, post?.body, node.isRead] as const
  })
  return [viewer.unreadNotificationsCount, ...rows] as const
}
