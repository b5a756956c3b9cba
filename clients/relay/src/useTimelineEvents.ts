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
      ... on StreamLagged {
        resumeAfter
      }
    }
  }
`;

/**
 * Keeps a timeline live from the `streamCursor` it was read with: posts come, change and go in the store.
 * `onReset` says that this is not enough, and that the timeline is to be read anew.
 */
export function useTimelineEvents(connection: string, streamCursor: string, onReset: () => void) {
  // Where to (re)start; later pages of the timeline bring later cursors, which would leave a gap.
  const [from, setFrom] = useState<{ after?: string | null; tries: number }>({
    after: streamCursor,
    tries: 0,
  });

  const config = useMemo((): GraphQLSubscriptionConfig<Subscription> => {
    let after: string | null | undefined = from.after;
    let tries = from.tries;
    // Whatever ended the stream: behind the last event nothing is lost, and nothing comes twice. Each time it does
    // without an event, the pause is twice as long, up to half a minute.
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
        // Who is too late even for that goes on from now; what was missed comes with the page.
        after = __typename === "StreamLagged" ? resumeAfter : cursor;
        if (__typename === "TimelineReset" || after == null) onReset();
      },
      onError: resume,
      onCompleted: resume,
    };
  }, [from, connection, onReset]);
  useSubscription(config);
}
