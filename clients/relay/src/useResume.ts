import { useCallback, useState } from "react";

/** Where a stream starts: after this cursor, and after so many attempts without an event. */
export interface Start {
  after: string | null | undefined;
  tries: number;
}

/**
 * The place where a stream starts, at first the `streamCursor` of its page, and a function to start
 * it again. Later pages have later cursors, which would leave a gap.
 */
export function useResume(streamCursor: string) {
  const [from, setFrom] = useState<Start>({ after: streamCursor, tries: 0 });
  // Resumes after the last event, so no event is lost and none arrives twice. The delay doubles with
  // each attempt that receives no event, up to 30 s.
  const resume = useCallback(({ after, tries }: Start) => {
    const pause = 1000 * Math.min(2 ** tries, 30);
    setTimeout(() => setFrom({ after, tries: tries + 1 }), pause);
  }, []);
  return { from, resume };
}
