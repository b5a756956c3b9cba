import { graphql, useFragment } from "react-relay";
import type { Reactions_post$key } from "./__generated__/Reactions_post.graphql";
import type { ReactionsLikeMutation } from "./__generated__/ReactionsLikeMutation.graphql";
import type { ReactionsRepostMutation } from "./__generated__/ReactionsRepostMutation.graphql";
import type { ReactionsUnlikeMutation } from "./__generated__/ReactionsUnlikeMutation.graphql";
import type { ReactionsUnrepostMutation } from "./__generated__/ReactionsUnrepostMutation.graphql";
import { ChangeButton } from "./ChangeButton";

/** The counts of a post, and buttons to like and to repost it. The payloads have the post. */
export function Reactions({ post }: { post: Reactions_post$key }) {
  const data = useFragment(
    graphql`
      fragment Reactions_post on Post {
        id
        likesCount
        viewerHasLiked
        repostsCount
        viewerHasReposted
        repliesCount
        author {
          isProtected
          isViewer
        }
      }
    `,
    post,
  );
  const { id, author, viewerHasLiked, viewerHasReposted } = data;
  // The server refuses a repost of another user's post if that user is protected.
  const canRepost = author.isViewer || !author.isProtected;
  const variables = { id };
  return (
    <div className="tools">
      <a href={`#post=${encodeURIComponent(id)}`}>Replies {data.repliesCount}</a>
      <span>
        {viewerHasLiked ? (
          <ChangeButton<ReactionsUnlikeMutation> label="Unlike" mutation={unlike} variables={variables} />
        ) : (
          <ChangeButton<ReactionsLikeMutation> label="Like" mutation={like} variables={variables} />
        )}{" "}
        <span aria-label="Likes">{data.likesCount}</span>
      </span>
      <span>
        {viewerHasReposted ? (
          <ChangeButton<ReactionsUnrepostMutation> label="Unrepost" mutation={unrepost} variables={variables} />
        ) : canRepost ? (
          <ChangeButton<ReactionsRepostMutation> label="Repost" mutation={repost} variables={variables} />
        ) : (
          "Reposts"
        )}{" "}
        <span aria-label="Reposts">{data.repostsCount}</span>
      </span>
    </div>
  );
}

const like = graphql`
  mutation ReactionsLikeMutation($id: ID!) {
    change: like(postId: $id) {
      post {
        ...Reactions_post
      }
      userErrors {
        message
      }
    }
  }
`;
const unlike = graphql`
  mutation ReactionsUnlikeMutation($id: ID!) {
    change: unlike(postId: $id) {
      post {
        ...Reactions_post
      }
      userErrors {
        message
      }
    }
  }
`;
const repost = graphql`
  mutation ReactionsRepostMutation($id: ID!) {
    change: repost(postId: $id) {
      post {
        ...Reactions_post
      }
      userErrors {
        message
      }
    }
  }
`;
const unrepost = graphql`
  mutation ReactionsUnrepostMutation($id: ID!) {
    change: unrepost(postId: $id) {
      post {
        ...Reactions_post
      }
      userErrors {
        message
      }
    }
  }
`;
