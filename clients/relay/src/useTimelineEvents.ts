import { useMemo, useState } from "react";
import { graphql, useSubscription } from "react-relay";
import type { GraphQLSubscriptionConfig } from "relay-runtime";
import type { useTimelineEventsSubscription as Subscription } from "./__generated__/useTimelineEventsSubscription.graphql";

const subscription = graphql`
  subscription useTimelineEventsSubscription($after: String, $connections: [ID!]!) {
    timelineEvents(after: $after) {
      __typename
      ... on StreamEvent {
        cursor
      }
      ... on TimelinePostAdded {
        edge @prependEdge(connections: $connections) {
          cursor
          node {
            createdAt
            ...Post_post
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
  // The cursor to subscribe with. Later pages have later cursors, which would leave a gap.
  const [from, setFrom] = useState<{ after?: string | null; tries: number }>({
    after: streamCursor,
    tries: 0,
  });

  const config = useMemo((): GraphQLSubscriptionConfig<Subscription> => {
    let after: string | null | undefined = from.after;
    let tries = from.tries;
    // Resumes after the last event, so no event is lost and none arrives twice. The delay doubles
    // with each attempt that receives no event, up to 30 s.
    const resume = () => {
      const pause = 1000 * Math.min(2 ** tries, 30);
      setTimeout(() => setFrom({ after, tries: tries + 1 }), pause);
    };
    return {
      subscription,
      variables: { after, connections: [connection] },
      onNext(response) {
        if (!response) return;
        tries = 0;
        const { __typename, cursor, resumeAfter } = response.timelineEvents;
        // Without `resumeAfter` the stream starts at the present. The page that is read again has
        // the missed posts.
        after = __typename === "StreamLagged" ? resumeAfter : cursor;
        // Relay keeps one entry of a post. After the end of a repost another one may be shown.
        const isChanged = __typename === "TimelineReset" || __typename === "TimelineRepostRemoved";
        if (isChanged || after == null) onReset();
      },
      onError: resume,
      onCompleted: resume,
    };
  }, [from, connection, onReset]);
  useSubscription(config);
}
