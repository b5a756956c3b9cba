import { useMemo } from "react";
import { graphql, useSubscription } from "react-relay";
import type { GraphQLSubscriptionConfig } from "relay-runtime";
import type { useTimelineEventsSubscription as Subscription } from "./__generated__/useTimelineEventsSubscription.graphql";
import { useResume } from "./useResume";

const subscription = graphql`
  subscription useTimelineEventsSubscription($after: String, $connections: [ID!]!) {
    timelineEvents(after: $after) {
      __typename
      ... on StreamEvent {
        cursor
      }
      ... on TimelinePostAdded {
        edge @prependEdge(connections: $connections) {
          ...Timeline_edge
          node {
            author {
              ...UserCard_user
            }
          }
        }
      }
      ... on TimelinePostUpdated {
        post {
          ...Post_post
        }
      }
      ... on TimelinePostRemoved {
        postId @deleteEdge(connections: $connections)
      }
      ... on TimelineRepostRemoved {
        postId
        repostedById
      }
      ... on TimelineReset {
        user {
          ...UserCard_user
        }
      }
      ... on StreamLagged {
        resumeAfter
      }
    }
  }
`;

/**
 * Applies the events of a timeline to the store, from the `streamCursor` of the page on. Calls
 * `onReset` when the timeline must be read again.
 */
export function useTimelineEvents(connection: string, streamCursor: string, onReset: () => void) {
  const { from, resume } = useResume(streamCursor);
  const config = useMemo((): GraphQLSubscriptionConfig<Subscription> => {
    const next = { ...from };
    return {
      subscription,
      variables: { after: from.after, connections: [connection] },
      onNext(response) {
        if (!response) return;
        const { __typename, cursor, resumeAfter } = response.timelineEvents;
        next.tries = 0;
        // Without `resumeAfter` the stream starts at the present. The page that is read again has
        // the missed posts.
        next.after = __typename === "StreamLagged" ? resumeAfter : cursor;
        // Relay keeps one entry of a post. After the end of a repost another one may be shown.
        const isChanged = __typename === "TimelineReset" || __typename === "TimelineRepostRemoved";
        if (isChanged || next.after == null) onReset();
      },
      onError: () => resume(next),
      onCompleted: () => resume(next),
    };
  }, [from, resume, connection, onReset]);
  useSubscription(config);
}
