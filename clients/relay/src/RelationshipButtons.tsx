import { graphql, useFragment } from "react-relay";
import type { RelationshipButtons_user$key } from "./__generated__/RelationshipButtons_user.graphql";
import type { RelationshipButtonsBlockMutation } from "./__generated__/RelationshipButtonsBlockMutation.graphql";
import type { RelationshipButtonsMuteMutation } from "./__generated__/RelationshipButtonsMuteMutation.graphql";
import type { RelationshipButtonsUnblockMutation } from "./__generated__/RelationshipButtonsUnblockMutation.graphql";
import type { RelationshipButtonsUnmuteMutation } from "./__generated__/RelationshipButtonsUnmuteMutation.graphql";
import { ChangeButton } from "./ChangeButton";

/** Blocks and mutes. The payloads have both users and the relationship, as those of a follow. */
export function RelationshipButtons({ user }: { user: RelationshipButtons_user$key }) {
  const { id, viewerRelationship } = useFragment(
    graphql`
      fragment RelationshipButtons_user on User {
        id
        viewerRelationship {
          id
          blocking
          muting
        }
      }
    `,
    user,
  );
  if (!viewerRelationship) return null;
  const { blocking, muting } = viewerRelationship;
  const variables = { user: { id } };
  return (
    <div className="tools">
      {blocking ? (
        <ChangeButton<RelationshipButtonsUnblockMutation> label="Unblock" mutation={unblock} variables={variables} />
      ) : (
        <ChangeButton<RelationshipButtonsBlockMutation> label="Block" mutation={block} variables={variables} />
      )}
      {muting ? (
        <ChangeButton<RelationshipButtonsUnmuteMutation> label="Unmute" mutation={unmute} variables={variables} />
      ) : (
        <ChangeButton<RelationshipButtonsMuteMutation> label="Mute" mutation={mute} variables={variables} />
      )}
    </div>
  );
}

graphql`
  fragment RelationshipButtons_payload on RelationshipPayload {
    user {
      ...UserCard_user
      ...RelationshipButtons_user
    }
    viewer {
      user {
        ...UserCard_user
      }
    }
  }
`;
const block = graphql`
  mutation RelationshipButtonsBlockMutation($user: UserBy!) {
    change: block(user: $user) {
      ...RelationshipButtons_payload
      userErrors {
        message
      }
    }
  }
`;
const unblock = graphql`
  mutation RelationshipButtonsUnblockMutation($user: UserBy!) {
    change: unblock(user: $user) {
      ...RelationshipButtons_payload
      userErrors {
        message
      }
    }
  }
`;
const mute = graphql`
  mutation RelationshipButtonsMuteMutation($user: UserBy!) {
    change: mute(user: $user) {
      ...RelationshipButtons_payload
      userErrors {
        message
      }
    }
  }
`;
const unmute = graphql`
  mutation RelationshipButtonsUnmuteMutation($user: UserBy!) {
    change: unmute(user: $user) {
      ...RelationshipButtons_payload
      userErrors {
        message
      }
    }
  }
`;
