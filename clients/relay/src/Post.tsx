import { graphql, useFragment } from "react-relay";
import type { Post_post$key } from "./__generated__/Post_post.graphql";
import { FollowButton } from "./FollowButton";

export function Post({ post }: { post: Post_post$key }) {
  const { author, body, createdAt, editedAt } = useFragment(
    graphql`
      fragment Post_post on Post {
        body
        createdAt
        editedAt
        author {
          username
          ...FollowButton_user
        }
      }
    `,
    post,
  );
  return (
    <li className="card">
      <div className="by">
        <a href={`#${author.username}`}>{author.username}</a>
        <time dateTime={createdAt}>{new Date(createdAt).toLocaleString()}</time>
        {editedAt && <span className="quiet">edited</span>}
        <FollowButton user={author} />
      </div>
      <p>{body}</p>
    </li>
  );
}
