import { inspect, isDeepStrictEqual } from 'node:util'

/** One line a check; the program fails if one of them does. */
export function check(what: string, actual: unknown, expected: unknown = true): void {
  const passed = isDeepStrictEqual(actual, expected)
  console.log(`${passed ? 'ok' : 'not ok'}: ${what}`)
  if (passed) return
  process.exitCode = 1
  console.error(`  expected ${inspect(expected, { depth: 9 })}\n  got ${inspect(actual, { depth: 9 })}`)
}
