import { type ApolloCache, type ApolloClient, CombinedGraphQLErrors } from '@apollo/client'
import { concatMap, defer, map, type Observable, repeat, retry, throwError, timer } from 'rxjs'
import { graphql } from './gql'
import type {
  CreatePostMutation,
  DeletePostMutation,
  EditPostMutation,
  TimelineEventsSubscription,
  TimelinePageFragment,
} from './gql/graphql'
import { withEdges } from './pages'

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
  }
`)

export const TimelinePage = graphql(`
  fragment TimelinePage on User {
    id
    timeline(first: $first, after: $after) {
      edges {
        cursor
        reason
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
      }
      timelineEdge {
        cursor
        reason
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
      ... on StreamLagged {
        resumeAfter
      }
    }
  }
`)

export async function createPost(client: ApolloClient, body: string): Promise<CreatePostMutation['createPost']> {
  const { data } = await client.mutate({
    mutation: CreatePost,
    variables: { input: { body } },
    update(cache, { data }) {
      if (data?.createPost.post && data.createPost.timelineEdge)
        insert(cache, data.createPost.post.author.id, data.createPost.timelineEdge)
    },
  })
  return data.createPost
}

/** Nothing to do for the cache: the payload has the post with its id. */
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

/** The first page from the service, into the cache; gives the place from which `watchTimeline` goes on. */
export async function readTimeline(client: ApolloClient): Promise<{ userId: string; streamCursor: string }> {
  const { data } = await client.query({ query: Home, fetchPolicy: 'network-only' })
  if (!data.viewer) throw new Error('not signed in')
  const { id: userId, timeline } = data.viewer.user
  return { userId, streamCursor: timeline.streamCursor }
}

/**
 * Keeps the cached timeline as it is at the service. When the connection is lost, it goes on behind the last event:
 * nothing is missed.
 */
export function watchTimeline(client: ApolloClient, userId: string, streamCursor: string): Observable<TimelineEvent> {
  let after = streamCursor
  return defer(() => client.subscribe({ query: TimelineEvents, variables: { after } })).pipe(
    map(({ data, error }) => {
      if (!data) throw error
      return data.timelineEvents
    }),
    concatMap(async (event) => {
      after = await apply(client, userId, event)
      return event
    }),
    repeat({ delay: 1000 }),
    retry({
      count: 8,
      resetOnSuccess: true,
      delay: (error, count) => (isFinal(error) ? throwError(() => error) : backOff(count)),
    }),
  )
}

/** Puts one event into the cache; gives the cursor to go on from. */
async function apply(client: ApolloClient, userId: string, event: TimelineEvent): Promise<string> {
  const { cache } = client
  switch (event.__typename) {
    case 'TimelinePostAdded':
      insert(cache, userId, event.edge)
      return event.cursor
    case 'TimelinePostUpdated':
      // The post came with its id, so the cache has it already.
      return event.cursor
    case 'TimelinePostRemoved':
      removePost(cache, event.postId)
      return event.cursor
    case 'StreamLagged':
      return event.resumeAfter ?? (await readTimeline(client)).streamCursor
    case 'TimelineReset':
      return (await readTimeline(client)).streamCursor
  }
}

/** Newest first, and once: our own posts come with the mutation and with the stream. */
function insert(cache: ApolloCache, userId: string, edge: Edge): void {
  const user = { __typename: 'User', id: userId }
  cache.updateFragment({ from: user, fragment: TimelinePage, fragmentName: 'TimelinePage' }, (cached) => {
    if (!cached) return null
    const page = cached.timeline
    const others = page.edges.filter(({ node }) => node.id !== edge.node.id)
    const edges = [edge, ...others].sort((a, b) => b.node.createdAt.localeCompare(a.node.createdAt))
    // Older than all that has been read: its turn comes with the next page.
    if (page.pageInfo.hasNextPage && edges.at(-1) === edge) return null
    return { ...cached, timeline: withEdges(page, edges) }
  })
}

/** Lists that go through `relayStylePagination` leave out what is gone. */
function removePost(cache: ApolloCache, id: string): void {
  cache.evict({ id: `Post:${id}` })
}

/** What passes; any other code will be the same next time. A lost connection has none, and passes too. */
const PASSING: readonly unknown[] = ['UNAVAILABLE', 'TIMEOUT', 'RATE_LIMITED', 'TOO_MANY_OPERATIONS', 'INTERNAL']

/** A token that is good no longer is not good next time: the socket is closed with 4403, which Apollo's link says in words only. */
function isFinal(error: unknown): boolean {
  if (CombinedGraphQLErrors.is(error))
    return error.errors.some(({ extensions }) => !PASSING.includes(extensions?.['code']))
  return error instanceof Error && error.message.startsWith('Socket closed with event 4403')
}

function backOff(count: number): Observable<unknown> {
  return timer(Math.random() * 1000 * Math.min(2 ** count, 30))
}
