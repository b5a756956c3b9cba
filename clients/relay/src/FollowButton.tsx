import { useState } from "react";
import { ConnectionHandler, graphql, useFragment, useMutation } from "react-relay";
import type { RecordSourceProxy } from "relay-runtime";
import type { FollowButton_user$data, FollowButton_user$key } from "./__generated__/FollowButton_user.graphql";
import type { FollowButtonFollowMutation } from "./__generated__/FollowButtonFollowMutation.graphql";
import type { FollowButtonUnfollowMutation } from "./__generated__/FollowButtonUnfollowMutation.graphql";
import { Errors } from "./Errors";

type FollowState = NonNullable<FollowButton_user$data["viewerRelationship"]>["followState"];
type UserErrors = FollowButtonFollowMutation["response"]["follow"]["userErrors"];

/**
 * Follows and unfollows, and makes and withdraws requests to follow. Both payloads have both users
 * with their counts, so the response updates every button and count on the page without another
 * request.
 */
export function FollowButton({ user }: { user: FollowButton_user$key }) {
  const [errors, setErrors] = useState<UserErrors>([]);
  const { id, username, isProtected, viewerCanFollow, viewerRelationship } = useFragment(
    graphql`
      fragment FollowButton_user on User {
        id
        username
        isProtected
        viewerCanFollow
        viewerRelationship {
          id
          followState
        }
      }
    `,
    user,
  );
  const [follow, isFollowing] = useMutation<FollowButtonFollowMutation>(graphql`
    mutation FollowButtonFollowMutation($user: UserBy!) {
      follow(user: $user) {
        changed
        user {
          ...UserCard_user
        }
        follower {
          id
          ...UserCard_user
        }
        followerEdge {
          ...Followers_edge
        }
        userErrors {
          message
        }
      }
    }
  `);
  const [unfollow, isUnfollowing] = useMutation<FollowButtonUnfollowMutation>(graphql`
    mutation FollowButtonUnfollowMutation($user: UserBy!) {
      unfollow(user: $user) {
        user {
          ...UserCard_user
        }
        follower {
          id
          ...UserCard_user
        }
        userErrors {
          message
        }
      }
    }
  `);

  const variables = { user: { id } };
  const onError = (error: Error) => setErrors([error]);

  function onFollow() {
    follow({
      variables,
      onError,
      onCompleted: (response) => setErrors(response.follow.userErrors),
      updater(store, response) {
        const followers = followersOf(store, id);
        // The new follower belongs at the head. A list that was read from its end may lack it.
        const isAtHead = !followers?.getLinkedRecord("pageInfo")?.getValue("hasPreviousPage");
        if (!response?.follow.changed || !followers || !isAtHead) return;
        const payload = store.getRootField("follow").getLinkedRecord("followerEdge");
        const edge = ConnectionHandler.buildConnectionEdge(store, followers, payload);
        if (edge) ConnectionHandler.insertEdgeBefore(followers, edge);
      },
    });
  }

  function onUnfollow() {
    unfollow({
      variables,
      onError,
      onCompleted: (response) => setErrors(response.unfollow.userErrors),
      updater(store, response) {
        const followers = followersOf(store, id);
        const follower = response?.unfollow.follower;
        if (followers && follower) ConnectionHandler.deleteNode(followers, follower.id);
      },
    });
  }

  // The text of the button, its name for screen readers, and what it does.
  function actionOf(followState: FollowState) {
    switch (followState) {
      case "FOLLOWING":
        return { text: "Unfollow", name: `Unfollow ${username}`, onClick: onUnfollow };
      case "REQUESTED":
        return { text: "Withdraw request", name: `Withdraw request to ${username}`, onClick: onUnfollow };
      default:
        return isProtected
          ? { text: "Ask to follow", name: `Ask to follow ${username}`, onClick: onFollow }
          : { text: "Follow", name: `Follow ${username}`, onClick: onFollow };
    }
  }

  if (!viewerCanFollow || !viewerRelationship) return null;
  const { text, name, onClick } = actionOf(viewerRelationship.followState);
  return (
    <>
      <button
        className={onClick === onUnfollow ? "follow on" : "follow"}
        aria-label={name}
        disabled={isFollowing || isUnfollowing}
        onClick={onClick}
      >
        {text}
      </button>
      <Errors errors={errors} />
    </>
  );
}

/** The connection of a user's followers, if the store has one. */
function followersOf(store: RecordSourceProxy, id: string) {
  const user = store.get(id);
  return user && ConnectionHandler.getConnection(user, "Followers_followers");
}
