import { useMemo } from "react";
import { graphql, useSubscription } from "react-relay";
import type { GraphQLSubscriptionConfig, RecordSourceProxy } from "relay-runtime";
import type { useNotificationEventsSubscription as Subscription } from "./__generated__/useNotificationEventsSubscription.graphql";
import { useResume } from "./useResume";

const subscription = graphql`
  subscription useNotificationEventsSubscription($after: String, $connections: [ID!]!) {
    notificationEvents(after: $after) {
      __typename
      ... on StreamEvent {
        cursor
      }
      ... on NotificationAdded {
        removedIds @deleteEdge(connections: $connections)
        unreadCount
        notification @prependNode(connections: $connections, edgeTypeName: "NotificationEdge") {
          id
          type
          isRead
          actor {
            username
          }
          post {
            id
          }
        }
      }
      ... on NotificationRemoved {
        removedIds @deleteEdge(connections: $connections)
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
`;

/**
 * Applies the events of the viewer's notifications to the store, as `useTimelineEvents` does. Calls
 * `onReset` when the notifications must be read again.
 */
export function useNotificationEvents(connection: string, streamCursor: string, onReset: () => void) {
  const { from, resume } = useResume(streamCursor);
  const config = useMemo((): GraphQLSubscriptionConfig<Subscription> => {
    const next = { ...from };
    return {
      subscription,
      variables: { after: from.after, connections: [connection] },
      updater(store, response) {
        const { upTo, unreadCount } = response?.notificationEvents ?? {};
        if (unreadCount == null) return;
        if (upTo) markRead(store, connection, unreadCount > 0 ? upTo : null);
        store.getRoot().getLinkedRecord("viewer")?.setValue(unreadCount, "unreadNotificationsCount");
      },
      onNext(response) {
        if (!response) return;
        const { __typename, cursor, resumeAfter } = response.notificationEvents;
        next.tries = 0;
        next.after = __typename === "StreamLagged" ? resumeAfter : cursor;
        if (next.after == null) onReset();
      },
      onError: () => resume(next),
      onCompleted: () => resume(next),
    };
  }, [from, resume, connection, onReset]);
  useSubscription(config);
}

/** Marks the entry `upTo` and all older ones as read, with null all entries. */
function markRead(store: RecordSourceProxy, connection: string, upTo: string | null) {
  const edges = store.get(connection)?.getLinkedRecords("edges") ?? [];
  const nodes = edges.map((edge) => edge.getLinkedRecord("node"));
  const first = upTo === null ? 0 : nodes.findIndex((node) => node?.getDataID() === upTo);
  if (first >= 0) for (const node of nodes.slice(first)) node?.setValue(true, "isRead");
}
