import { graphql, useFragment } from "react-relay";
import type { FollowRequests_viewer$key } from "./__generated__/FollowRequests_viewer.graphql";
import type { FollowRequestsAcceptMutation } from "./__generated__/FollowRequestsAcceptMutation.graphql";
import type { FollowRequestsRejectMutation } from "./__generated__/FollowRequestsRejectMutation.graphql";
import { ChangeButton } from "./ChangeButton";

const accept = graphql`
  mutation FollowRequestsAcceptMutation($user: UserBy!, $connections: [ID!]!) {
    change: acceptFollowRequest(user: $user) {
      user {
        id @deleteEdge(connections: $connections)
        ...UserCard_user
      }
      viewer {
        user {
          ...UserCard_user
        }
      }
      userErrors {
        message
      }
    }
  }
`;
const reject = graphql`
  mutation FollowRequestsRejectMutation($user: UserBy!, $connections: [ID!]!) {
    change: rejectFollowRequest(user: $user) {
      user {
        id @deleteEdge(connections: $connections)
      }
      userErrors {
        message
      }
    }
  }
`;

/** The requests to follow the viewer. The payload of each decision removes the request. */
export function FollowRequests({ viewer }: { viewer: FollowRequests_viewer$key }) {
  const { followRequests } = useFragment(
    graphql`
      fragment FollowRequests_viewer on Viewer {
        followRequests(first: 100) @connection(key: "FollowRequests_followRequests") {
          __id
          edges {
            node {
              id
              username
            }
          }
        }
      }
    `,
    viewer,
  );
  if (followRequests.edges.length === 0) return null;
  return (
    <div className="card">
      <h3>Requests to follow you</h3>
      <ul aria-label="Follow requests">
        {followRequests.edges.map(({ node: { id, username } }) => {
          const variables = { user: { id }, connections: [followRequests.__id] };
          return (
            <li key={id}>
              <a href={`#${username}`}>{username}</a>
              <ChangeButton<FollowRequestsAcceptMutation> label="Accept" mutation={accept} variables={variables} />
              <ChangeButton<FollowRequestsRejectMutation> label="Reject" mutation={reject} variables={variables} />
            </li>
          );
        })}
      </ul>
    </div>
  );
}
