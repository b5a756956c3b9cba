import type { ApolloClient } from '@apollo/client'
import { graphql } from './gql'
import type { MarkTimelineReadMutation } from './gql/graphql'

const MarkTimelineRead = graphql(`
  mutation MarkTimelineRead($cursor: String!) {
    markTimelineRead(cursor: $cursor) {
      changed
      timelineMarker
      userErrors {
        ...Problem
      }
    }
  }
`)

export const Marker = graphql(`
  query Marker {
    viewer {
      timelineMarker
    }
  }
`)

const Unread = graphql(`
  query Unread($marker: String!) {
    viewer {
      user {
        id
        timeline(last: 1, before: $marker) {
          nodes {
            id
          }
          newerCount
        }
      }
    }
  }
`)

/** Marks the timeline as read up to the cursor of an entry. The marker never moves back. */
export async function markTimelineRead(
  client: ApolloClient,
  cursor: string,
): Promise<MarkTimelineReadMutation['markTimelineRead']> {
  const { data } = await client.mutate({
    mutation: MarkTimelineRead,
    variables: { cursor },
    update(cache, { data }) {
      const { timelineMarker } = data?.markTimelineRead ?? {}
      if (timelineMarker) cache.modify({ id: 'Viewer:{}', fields: { timelineMarker: () => timelineMarker } })
    },
  })
  return data.markTimelineRead
}

/**
 * The number of entries above the marker, up to 101. Null if there is no marker yet. The page with
 * the next entry above the marker is not part of the cached list, so it is read without the cache.
 */
export async function countUnread(client: ApolloClient): Promise<number | null> {
  const { viewer } = (await client.query({ query: Marker, fetchPolicy: 'network-only' })).data
  const marker = viewer?.timelineMarker
  if (!marker) return null
  const { data } = await client.query({ query: Unread, variables: { marker }, fetchPolicy: 'no-cache' })
  if (!data.viewer) return null
  const { nodes, newerCount } = data.viewer.user.timeline
  return nodes.length + newerCount
}
