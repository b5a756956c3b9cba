import { startTransition } from "react";
import { graphql, useFragment, usePaginationFragment } from "react-relay";
import type { Followers_edge$key } from "./__generated__/Followers_edge.graphql";
import type { Followers_user$key } from "./__generated__/Followers_user.graphql";
import type { FollowersPaginationQuery } from "./__generated__/FollowersPaginationQuery.graphql";
import { FollowButton } from "./FollowButton";

const PAGE = 2;

/**
 * The followers, newest follow first, readable from either end. `first` has no default: Relay would
 * send it together with `last`, and the server accepts only one of the two.
 */
export function Followers({ user }: { user: Followers_user$key }) {
  const { data, hasNext, hasPrevious, isLoadingNext, isLoadingPrevious, loadNext, loadPrevious, refetch } =
    usePaginationFragment<FollowersPaginationQuery, Followers_user$key>(
      graphql`
        fragment Followers_user on User
        @refetchable(queryName: "FollowersPaginationQuery")
        @argumentDefinitions(
          first: { type: "Int" }
          after: { type: "String" }
          last: { type: "Int" }
          before: { type: "String" }
        ) {
          followers(first: $first, after: $after, last: $last, before: $before)
            @connection(key: "Followers_followers") {
            edges {
              node {
                id
              }
              ...Followers_edge
            }
          }
        }
      `,
      user,
    );

  const startFrom = (end: { first: number | null; last: number | null }) =>
    startTransition(() => void refetch(end, { fetchPolicy: "network-only" }));

  return (
    <div className="card">
      <h3>
        Followers
        <span className="ends">
          <button className="link" onClick={() => startFrom({ first: PAGE, last: null })}>
            Newest
          </button>
          <button className="link" onClick={() => startFrom({ first: null, last: PAGE })}>
            Oldest
          </button>
        </span>
      </h3>
      {hasPrevious && (
        <button className="more" disabled={isLoadingPrevious} onClick={() => loadPrevious(PAGE)}>
          Newer followers
        </button>
      )}
      <ul aria-label="Followers">
        {data.followers.edges.map((edge) => (
          <Follower key={edge.node.id} edge={edge} />
        ))}
      </ul>
      {hasNext && (
        <button className="more" disabled={isLoadingNext} onClick={() => loadNext(PAGE)}>
          Older followers
        </button>
      )}
    </div>
  );
}

function Follower({ edge }: { edge: Followers_edge$key }) {
  const { node } = useFragment(
    graphql`
      fragment Followers_edge on FollowerEdge {
        cursor
        node {
          username
          ...FollowButton_user
        }
      }
    `,
    edge,
  );
  return (
    <li>
      <a href={`#${node.username}`}>{node.username}</a>
      <FollowButton user={node} />
    </li>
  );
}
