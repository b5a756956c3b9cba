import type { ApolloCache, ApolloClient } from '@apollo/client'
import { concatMap, map, type Observable } from 'rxjs'
import { graphql } from './gql'
import type {
  CreatePostMutation,
  DeletePostMutation,
  EditPostMutation,
  TimelineEventsSubscription,
  TimelinePageFragment,
} from './gql/graphql'
import { withEdges } from './pages'
import { evictLists } from './relationship'
import { resuming } from './resume'

export type TimelineEvent = TimelineEventsSubscription['timelineEvents']
type Edge = TimelinePageFragment['timeline']['edges'][number]

export const PostCard = graphql(`
  fragment PostCard on Post {
    id
    body
    createdAt
    editedAt
    author {
      id
      username
    }
    mentions {
      start
      length
      user {
        id
        username
      }
    }
    likesCount
    viewerHasLiked
    repostsCount
    viewerHasReposted
    repliesCount
  }
`)

export const TimelinePage = graphql(`
  fragment TimelinePage on User {
    id
    timeline(first: $first, after: $after) {
      edges {
        cursor
        reason
        repostedAt
        repostedBy {
          id
          username
        }
        node {
          id
          createdAt
          ...PostCard
        }
      }
      pageInfo {
        hasNextPage
        hasPreviousPage
        startCursor
        endCursor
      }
    }
  }
`)

export const Home = graphql(`
  query Home($first: Int = 20, $after: String) {
    viewer {
      user {
        id
        timeline(first: $first, after: $after) {
          streamCursor
        }
        ...TimelinePage
      }
    }
  }
`)

const CreatePost = graphql(`
  mutation CreatePost($input: CreatePostInput!) {
    createPost(input: $input) {
      post {
        id
        author {
          id
          postsCount
        }
        inReplyTo {
          id
          repliesCount
        }
      }
      timelineEdge {
        cursor
        reason
        repostedAt
        repostedBy {
          id
          username
        }
        node {
          id
          createdAt
          ...PostCard
        }
      }
      userErrors {
        ...Problem
      }
    }
  }
`)

const EditPost = graphql(`
  mutation EditPost($input: EditPostInput!) {
    editPost(input: $input) {
      changed
      post {
        ...PostCard
      }
      userErrors {
        ...Problem
      }
    }
  }
`)

const DeletePost = graphql(`
  mutation DeletePost($id: ID!) {
    deletePost(id: $id) {
      changed
      deletedPostId
      userErrors {
        ...Problem
      }
    }
  }
`)

const TimelineEvents = graphql(`
  subscription TimelineEvents($after: String) {
    timelineEvents(after: $after) {
      ... on StreamEvent {
        cursor
      }
      ... on TimelinePostAdded {
        edge {
          cursor
          reason
          repostedAt
          repostedBy {
            id
            username
          }
          node {
            id
            createdAt
            ...PostCard
          }
        }
      }
      ... on TimelinePostUpdated {
        post {
          id
          ...PostCard
        }
      }
      ... on TimelinePostRemoved {
        postId
      }
      ... on TimelineRepostRemoved {
        postId
        repostedById
      }
      ... on TimelineReset {
        user {
          id
          followersCount
          viewerCanSee
          ...FollowButton
        }
      }
      ... on StreamLagged {
        resumeAfter
      }
    }
  }
`)

/**
 * Creates a post, with `inReplyToId` a reply to that post. If the outcome is unknown, as after a lost
 * connection or `OUTCOME_UNKNOWN`, call it again with the same key: within 24 hours the server
 * creates one post for a key.
 */
export async function createPost(
  client: ApolloClient,
  body: string,
  idempotencyKey: string = crypto.randomUUID(),
  inReplyToId?: string,
): Promise<CreatePostMutation['createPost']> {
  const { data } = await client.mutate({
    mutation: CreatePost,
    variables: { input: { body, idempotencyKey, inReplyToId } },
    update(cache, { data }) {
      const { post, timelineEdge } = data?.createPost ?? {}
      if (!post || !timelineEdge) return
      insert(cache, post.author.id, timelineEdge)
      // The payload has no edge of this list. A component that shows the replies reads them again.
      if (post.inReplyTo) cache.evict({ id: `Post:${post.inReplyTo.id}`, fieldName: 'replies' })
    },
  })
  return data.createPost
}

/** Needs no cache update: the payload has the post with its id. */
export async function editPost(client: ApolloClient, id: string, body: string): Promise<EditPostMutation['editPost']> {
  const { data } = await client.mutate({ mutation: EditPost, variables: { input: { id, body } } })
  return data.editPost
}

export async function deletePost(client: ApolloClient, id: string): Promise<DeletePostMutation['deletePost']> {
  const { data } = await client.mutate({
    mutation: DeletePost,
    variables: { id },
    update: (cache, { data }) => data?.deletePost.deletedPostId && removePost(cache, data.deletePost.deletedPostId),
  })
  return data.deletePost
}

/** Reads the first page into the cache. `watchTimeline` resumes from the returned cursor. */
export async function readTimeline(client: ApolloClient): Promise<{ userId: string; streamCursor: string }> {
  const { data } = await client.query({ query: Home, fetchPolicy: 'network-only' })
  if (!data.viewer) throw new Error('not signed in')
  const { id: userId, timeline } = data.viewer.user
  return { userId, streamCursor: timeline.streamCursor }
}

/**
 * Applies the events of the viewer's timeline to the cache. After a lost connection it resumes
 * after the last event, so no event is missed.
 */
export function watchTimeline(client: ApolloClient, userId: string, streamCursor: string): Observable<TimelineEvent> {
  let after = streamCursor
  return resuming(() =>
    client.subscribe({ query: TimelineEvents, variables: { after } }).pipe(
      map(({ data, error }) => {
        if (!data) throw error
        return data.timelineEvents
      }),
      concatMap(async (event) => {
        after = await apply(client, userId, event)
        return event
      }),
    ),
  )
}

/** Applies an event to the cache, and returns the cursor to resume from. */
async function apply(client: ApolloClient, userId: string, event: TimelineEvent): Promise<string> {
  const { cache } = client
  switch (event.__typename) {
    case 'TimelinePostAdded':
      insert(cache, userId, event.edge)
      return event.cursor
    case 'TimelinePostUpdated':
      // The event has the post with its id, so the cache is up to date.
      return event.cursor
    case 'TimelinePostRemoved':
      removePost(cache, event.postId)
      return event.cursor
    case 'TimelineRepostRemoved':
      removeRepost(cache, userId, event.postId, event.repostedById)
      return event.cursor
    case 'StreamLagged':
      return event.resumeAfter ?? (await readTimeline(client)).streamCursor
    case 'TimelineReset':
      // The user may have accepted a request. The cache has the new `followState` from the event.
      evictLists(cache)
      return (await readTimeline(client)).streamCursor
  }
}

/**
 * Inserts an entry once, newest first. The viewer's own posts arrive by mutation and by stream. The
 * cursor tells entries apart: several users can repost the same post.
 */
function insert(cache: ApolloCache, userId: string, edge: Edge): void {
  const user = { __typename: 'User', id: userId }
  cache.updateFragment({ from: user, fragment: TimelinePage, fragmentName: 'TimelinePage' }, (cached) => {
    if (!cached) return null
    const page = cached.timeline
    const others = page.edges.filter(({ cursor }) => cursor !== edge.cursor)
    const edges = [edge, ...others].sort((a, b) => timeOf(b).localeCompare(timeOf(a)))
    // An entry that is older than the cached pages arrives with the next page.
    if (page.pageInfo.hasNextPage && edges.at(-1) === edge) return null
    return { ...cached, timeline: withEdges(page, edges) }
  })
}

/** A repost is in the timeline at the place of its own time. */
function timeOf(edge: Edge): string {
  return edge.repostedAt ?? edge.node.createdAt
}

/** Removes the entry of one repost. Other entries of the post stay. */
function removeRepost(cache: ApolloCache, userId: string, postId: string, reposterId: string): void {
  const user = { __typename: 'User', id: userId }
  cache.updateFragment({ from: user, fragment: TimelinePage, fragmentName: 'TimelinePage' }, (cached) => {
    if (!cached) return null
    const page = cached.timeline
    const edges = page.edges.filter(({ node, repostedBy }) => node.id !== postId || repostedBy?.id !== reposterId)
    return edges.length === page.edges.length ? null : { ...cached, timeline: withEdges(page, edges) }
  })
}

/** `relayStylePagination` filters evicted nodes out of its lists. */
function removePost(cache: ApolloCache, id: string): void {
  cache.evict({ id: `Post:${id}` })
}
