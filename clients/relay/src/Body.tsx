import { Fragment } from "react";
import { graphql, useFragment } from "react-relay";
import type { Body_post$key } from "./__generated__/Body_post.graphql";

/** The text of a post, with links to the users whom it mentions. */
export function Body({ post }: { post: Body_post$key }) {
  const { body, mentions } = useFragment(
    graphql`
      fragment Body_post on Post {
        body
        mentions {
          start
          length
          user {
            username
          }
        }
      }
    `,
    post,
  );
  // Positions count code points, as this list does. A string counts UTF-16 code units.
  const characters = [...body];
  const text = (start: number, end?: number) => characters.slice(start, end).join("");
  const ends = [0, ...mentions.map(({ start, length }) => start + length)];
  return (
    <p>
      {mentions.map(({ start, length, user }, n) => (
        <Fragment key={start}>
          {text(ends[n] ?? 0, start)}
          <a href={`#${user.username}`}>{text(start, start + length)}</a>
        </Fragment>
      ))}
      {text(ends.at(-1) ?? 0)}
    </p>
  );
}
