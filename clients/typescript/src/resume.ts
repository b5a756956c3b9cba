import { CombinedGraphQLErrors } from '@apollo/client'
import { defer, type Observable, repeat, retry, throwError, timer } from 'rxjs'

/**
 * Subscribes again after each interruption. `subscribe` passes the cursor of the last event, so no
 * event is missed.
 */
export function resuming<Event>(subscribe: () => Observable<Event>): Observable<Event> {
  return defer(subscribe).pipe(
    repeat({ delay: 1000 }),
    retry({
      count: 8,
      resetOnSuccess: true,
      delay: (error, count) => (isFinal(error) ? throwError(() => error) : backOff(count)),
    }),
  )
}

/** Codes of errors that a retry can fix. A lost connection has no code, and is retried too. */
const TRANSIENT: readonly unknown[] = ['UNAVAILABLE', 'TIMEOUT', 'RATE_LIMITED', 'TOO_MANY_OPERATIONS', 'INTERNAL']

/**
 * Whether a retry is useless. An invalid token closes the socket with 4403, which Apollo's link
 * reports in the message only.
 */
function isFinal(error: unknown): boolean {
  if (CombinedGraphQLErrors.is(error))
    return error.errors.some(({ extensions }) => !TRANSIENT.includes(extensions?.['code']))
  return error instanceof Error && error.message.startsWith('Socket closed with event 4403')
}

function backOff(count: number): Observable<unknown> {
  return timer(Math.random() * 1000 * Math.min(2 ** count, 30))
}
