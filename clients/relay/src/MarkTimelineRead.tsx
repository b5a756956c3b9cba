import { graphql, useMutation } from "react-relay";
import type { MarkTimelineReadMutation } from "./__generated__/MarkTimelineReadMutation.graphql";

/** Marks the timeline as read up to an entry, for all devices of the viewer. */
export function MarkTimelineRead({ cursor }: { cursor: string }) {
  const [mark, isMarking] = useMutation<MarkTimelineReadMutation>(graphql`
    mutation MarkTimelineReadMutation($cursor: String!) {
      markTimelineRead(cursor: $cursor) {
        timelineMarker
      }
    }
  `);
  const onClick = () =>
    mark({
      variables: { cursor },
      // The payload has the marker, and not the viewer whose field it is.
      updater: (store, response) =>
        store.getRoot().getLinkedRecord("viewer")?.setValue(response?.markTimelineRead.timelineMarker, "timelineMarker"),
    });
  return (
    <div className="tools">
      <button className="link" disabled={isMarking} onClick={onClick}>
        Mark the timeline as read
      </button>
    </div>
  );
}
