import { graphql, useFragment } from "react-relay";
import type { NotificationsMarkMutation } from "./__generated__/NotificationsMarkMutation.graphql";
import type { NotificationType, Notifications_viewer$key } from "./__generated__/Notifications_viewer.graphql";
import { ChangeButton } from "./ChangeButton";
import { useNotificationEvents } from "./useNotificationEvents";

const markRead = graphql`
  mutation NotificationsMarkMutation {
    change: markNotificationsRead {
      viewer {
        unreadNotificationsCount
      }
      userErrors {
        message
      }
    }
  }
`;

/** The newest notifications, live. The stream marks them as read, on every device of the viewer. */
export function Notifications({ viewer, onReload }: { viewer: Notifications_viewer$key; onReload: () => void }) {
  const { notifications, unreadNotificationsCount } = useFragment(
    graphql`
      fragment Notifications_viewer on Viewer {
        unreadNotificationsCount
        notifications(first: 10) @connection(key: "Notifications_notifications") {
          __id
          streamCursor
          edges {
            node {
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
        }
      }
    `,
    viewer,
  );
  const { __id, streamCursor, edges } = notifications;
  useNotificationEvents(__id, streamCursor, onReload);
  if (edges.length === 0) return null;
  return (
    <div className="card">
      <h3>
        Notifications <span aria-label="Unread notifications">{unreadNotificationsCount}</span>
        {unreadNotificationsCount > 0 && (
          <ChangeButton<NotificationsMarkMutation> label="Mark all as read" mutation={markRead} variables={{}} />
        )}
      </h3>
      <ul aria-label="Notifications">
        {edges.map(({ node: { id, type, isRead, actor, post } }) => (
          <li key={id} className={isRead ? "quiet" : undefined}>
            <a href={`#${actor.username}`}>{actor.username}</a>
            {post ? <a href={`#post=${encodeURIComponent(post.id)}`}>{textOf(type)}</a> : textOf(type)}
          </li>
        ))}
      </ul>
    </div>
  );
}

function textOf(type: NotificationType): string {
  switch (type) {
    case "FOLLOW":
      return "follows you";
    case "FOLLOW_REQUEST":
      return "asks to follow you";
    case "REQUEST_ACCEPTED":
      return "has accepted your request";
    case "LIKE":
      return "likes your post";
    case "REPLY":
      return "replied to your post";
    case "REPOST":
      return "reposted your post";
    case "MENTION":
      return "mentioned you";
    default:
      // A newer server may have more types.
      return "has news for you";
  }
}
