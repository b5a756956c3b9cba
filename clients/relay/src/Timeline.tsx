import { useCallback, useState } from "react";
import { graphql, usePaginationFragment } from "react-relay";
import type { Timeline_user$key } from "./__generated__/Timeline_user.graphql";
import type { TimelinePaginationQuery } from "./__generated__/TimelinePaginationQuery.graphql";
import { Compose } from "./Compose";
import { Post } from "./Post";
import { useTimelineEvents } from "./useTimelineEvents";

const PAGE = 10;

export function Timeline({ user, onReload }: { user: Timeline_user$key; onReload: () => void }) {
  const { data, hasNext, isLoadingNext, loadNext } = usePaginationFragment<TimelinePaginationQuery, Timeline_user$key>(
    graphql`
      fragment Timeline_user on User
      @refetchable(queryName: "TimelinePaginationQuery")
      @argumentDefinitions(first: { type: "Int", defaultValue: 10 }, after: { type: "String" }) {
        timeline(first: $first, after: $after) @connection(key: "Timeline_timeline") {
          __id
          streamCursor
          edges {
            node {
              id
              createdAt
              ...Post_post
            }
          }
        }
      }
    `,
    user,
  );
  const { __id, streamCursor, edges } = data.timeline;
  const [isStale, setIsStale] = useState(false);
  useTimelineEvents(
    __id,
    streamCursor,
    useCallback(() => setIsStale(true), []),
  );

  // A live post is inserted at the head, which is too high if a newer post has arrived before it.
  const posts = edges.map(({ node }) => node).sort((a, b) => b.createdAt.localeCompare(a.createdAt));
  return (
    <>
      <Compose timeline={__id} />
      {isStale && (
        <button className="more" onClick={onReload}>
          Your timeline has changed. Show it.
        </button>
      )}
      <ol aria-label="Timeline">
        {posts.map((post) => (
          <Post key={post.id} post={post} />
        ))}
      </ol>
      {posts.length === 0 && <p className="quiet">Nothing here yet. Find a user to follow, or write a post.</p>}
      {hasNext && (
        <button className="more" disabled={isLoadingNext} onClick={() => loadNext(PAGE)}>
          Older posts
        </button>
      )}
    </>
  );
}
