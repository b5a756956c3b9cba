import type { ApolloCache, ApolloClient } from '@apollo/client'
import { concatMap, map, type Observable } from 'rxjs'
import { graphql } from './gql'
import type {
  MarkNotificationsReadMutation,
  NotificationEventsSubscription,
  NotificationsPageFragment,
} from './gql/graphql'
import { resuming } from './resume'

export type NotificationEvent = NotificationEventsSubscription['notificationEvents']
type Edges = NotificationsPageFragment['notifications']['edges']

/** The fields of a row. `post` is null for follows and requests to follow. */
export const NotificationRow = graphql(`
  fragment NotificationRow on Notification {
    id
    type
    actor {
      id
      username
    }
    post {
      id
      body
    }
  }
`)

// The edges are without cursors, because an event has none. `endCursor` is enough for the next page.
export const NotificationsPage = graphql(`
  fragment NotificationsPage on Viewer {
    notifications(first: $first, after: $after) {
      edges {
        node {
          id
          createdAt
          isRead
          ...NotificationRow
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`)

export const Inbox = graphql(`
  query Inbox($first: Int = 20, $after: String) {
    viewer {
      unreadNotificationsCount
      notifications(first: $first, after: $after) {
        streamCursor
      }
      ...NotificationsPage
    }
  }
`)

const MarkNotificationsRead = graphql(`
  mutation MarkNotificationsRead($upTo: ID) {
    markNotificationsRead(upTo: $upTo) {
      changed
      viewer {
        unreadNotificationsCount
      }
      userErrors {
        ...Problem
      }
    }
  }
`)

const NotificationEvents = graphql(`
  subscription NotificationEvents($after: String) {
    notificationEvents(after: $after) {
      ... on StreamEvent {
        cursor
      }
      ... on NotificationAdded {
        removedIds
        unreadCount
        notification {
          id
          createdAt
          isRead
          ...NotificationRow
        }
      }
      ... on NotificationRemoved {
        removedIds
        unreadCount
      }
      ... on NotificationsRead {
        upTo
        unreadCount
      }
      ... on StreamLagged {
        resumeAfter
      }
    }
  }
`)

/** Reads the first page into the cache. `watchNotifications` resumes from the returned cursor. */
export async function readInbox(client: ApolloClient): Promise<string> {
  const { data } = await client.query({ query: Inbox, fetchPolicy: 'network-only' })
  if (!data.viewer) throw new Error('not signed in')
  return data.viewer.notifications.streamCursor
}

/**
 * Marks a notification and all older ones as read, without an id all. The event `NotificationsRead`
 * marks them in the cache, on this and on every other device.
 */
export async function markNotificationsRead(
  client: ApolloClient,
  upTo?: string,
): Promise<MarkNotificationsReadMutation['markNotificationsRead']> {
  const { data } = await client.mutate({ mutation: MarkNotificationsRead, variables: { upTo } })
  return data.markNotificationsRead
}

/** Applies the events of the viewer's notifications to the cache, as `watchTimeline` does. */
export function watchNotifications(client: ApolloClient, streamCursor: string): Observable<NotificationEvent> {
  let after = streamCursor
  return resuming(() =>
    client.subscribe({ query: NotificationEvents, variables: { after } }).pipe(
      map(({ data, error }) => {
        if (!data) throw error
        return data.notificationEvents
      }),
      concatMap(async (event) => {
        after = await apply(client, event)
        return event
      }),
    ),
  )
}

/** Applies an event to the cache, and returns the cursor to resume from. */
async function apply(client: ApolloClient, event: NotificationEvent): Promise<string> {
  const { cache } = client
  switch (event.__typename) {
    case 'NotificationAdded':
      remove(cache, event.removedIds)
      insert(cache, { __typename: 'NotificationEdge', node: event.notification })
      break
    case 'NotificationRemoved':
      remove(cache, event.removedIds)
      break
    case 'NotificationsRead':
      // The notification may be one that the list leaves out.
      if (!markRead(cache, event.upTo)) return readInbox(client)
      break
    case 'StreamLagged':
      return event.resumeAfter ?? readInbox(client)
  }
  cache.modify({ id: 'Viewer:{}', fields: { unreadNotificationsCount: () => event.unreadCount } })
  return event.cursor
}

/** Inserts a notification once, newest first. */
function insert(cache: ApolloCache, edge: Edges[number]): void {
  updateEdges(cache, (edges, hasNextPage) => {
    const others = edges.filter(({ node }) => node.id !== edge.node.id)
    const sorted = [edge, ...others].sort((a, b) => b.node.createdAt.localeCompare(a.node.createdAt))
    // An entry that is older than the cached pages arrives with the next page.
    return hasNextPage && sorted.at(-1) === edge ? edges : sorted
  })
}

/** `relayStylePagination` filters evicted nodes out of its lists. */
function remove(cache: ApolloCache, ids: readonly string[]): void {
  for (const id of ids) cache.evict({ id: `Notification:${id}` })
}

/** Marks an entry and all older ones as read. Returns whether the cache has the entry. */
function markRead(cache: ApolloCache, upTo: string): boolean {
  let isFound = false
  updateEdges(cache, (edges) =>
    edges.map((edge) => {
      isFound ||= edge.node.id === upTo
      return isFound ? { ...edge, node: { ...edge.node, isRead: true } } : edge
    }),
  )
  return isFound
}

function updateEdges(cache: ApolloCache, update: (edges: Edges, hasNextPage: boolean) => Edges): void {
  const page = { fragment: NotificationsPage, fragmentName: 'NotificationsPage' }
  cache.updateFragment({ from: { __typename: 'Viewer' }, ...page }, (cached) => {
    if (!cached) return null
    const { notifications } = cached
    const edges = update(notifications.edges, notifications.pageInfo.hasNextPage)
    return { ...cached, notifications: { ...notifications, edges } }
  })
}
