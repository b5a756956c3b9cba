import { graphql, useFragment } from "react-relay";
import type { Post_post$key } from "./__generated__/Post_post.graphql";
import { Body } from "./Body";
import { FollowButton } from "./FollowButton";
import { Reactions } from "./Reactions";

/** A post. With `repostedBy` it is the entry of a repost. */
export function Post({ post, repostedBy }: { post: Post_post$key; repostedBy?: string }) {
  const data = useFragment(
    graphql`
      fragment Post_post on Post {
        createdAt
        editedAt
        isReply
        author {
          username
          ...FollowButton_user
        }
        ...Body_post
        ...Reactions_post
      }
    `,
    post,
  );
  const { author, createdAt, editedAt, isReply } = data;
  return (
    <li className="card">
      {repostedBy && (
        <div className="quiet">
          reposted by <a href={`#${repostedBy}`}>{repostedBy}</a>
        </div>
      )}
      <div className="by">
        <a href={`#${author.username}`}>{author.username}</a>
        <time dateTime={createdAt}>{new Date(createdAt).toLocaleString()}</time>
        {isReply && <span className="quiet">reply</span>}
        {editedAt && <span className="quiet">edited</span>}
        <FollowButton user={author} />
      </div>
      <Body post={data} />
      <Reactions post={data} />
    </li>
  );
}
