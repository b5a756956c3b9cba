import { Fragment, useCallback, useState } from "react";
import { graphql, useFragment, usePaginationFragment } from "react-relay";
import type { TimelinePaginationQuery } from "./__generated__/TimelinePaginationQuery.graphql";
import type { Timeline_edge$data, Timeline_edge$key } from "./__generated__/Timeline_edge.graphql";
import type { Timeline_user$key } from "./__generated__/Timeline_user.graphql";
import { Compose } from "./Compose";
import { MarkTimelineRead } from "./MarkTimelineRead";
import { Post } from "./Post";
import { useTimelineEvents } from "./useTimelineEvents";

const PAGE = 10;

interface Props {
  user: Timeline_user$key;
  /** The cursor of the newest entry that the viewer has read. */
  marker: string | null;
  onReload: () => void;
}

export function Timeline({ user, marker, onReload }: Props) {
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
            }
            ...Timeline_edge
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

  const entries = useFragment<Timeline_edge$key>(entryFragment, edges);
  // A live entry is inserted at the head, which is too high if a newer one has arrived before it.
  const sorted = [...entries].sort((a, b) => timeOf(b).localeCompare(timeOf(a)));
  const [newest] = sorted;
  return (
    <>
      <Compose timeline={__id} />
      {isStale && (
        <button className="more" onClick={onReload}>
          Your timeline has changed. Show it.
        </button>
      )}
      {newest && newest.cursor !== marker && <MarkTimelineRead cursor={newest.cursor} />}
      <ol aria-label="Timeline">
        {sorted.map(({ cursor, node, repostedBy }) => (
          <Fragment key={node.id}>
            {cursor === marker && cursor !== newest?.cursor && (
              <li className="quiet" role="separator">
                You have read the posts below.
              </li>
            )}
            <Post post={node} repostedBy={repostedBy?.username} />
          </Fragment>
        ))}
      </ol>
      {!newest && <p className="quiet">Nothing here yet. Find a user to follow, or write a post.</p>}
      {hasNext && (
        <button className="more" disabled={isLoadingNext} onClick={() => loadNext(PAGE)}>
          Older posts
        </button>
      )}
    </>
  );
}

/** An entry of the timeline: a post, or a repost by `repostedBy`. */
const entryFragment = graphql`
  fragment Timeline_edge on TimelineEdge @relay(plural: true) {
    cursor
    repostedAt
    repostedBy {
      username
    }
    node {
      id
      createdAt
      ...Post_post
    }
  }
`;

/** A repost is in the timeline at the place of its own time. */
const timeOf = ({ node, repostedAt }: Timeline_edge$data[number]) => repostedAt ?? node.createdAt;
