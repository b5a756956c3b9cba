import type { PostCardFragment } from './gql/graphql'

type Mentions = PostCardFragment['mentions']

/** A part of a text: plain, or the mention of a user, which a page shows as a link. */
export interface TextPart {
  readonly text: string
  readonly user?: Mentions[number]['user']
}

/**
 * Splits a text at its mentions. Their positions count code points, and those of a JavaScript string
 * count UTF-16 code units: "🐦" is one of the former and two of the latter.
 */
export function splitText(body: string, mentions: Mentions): TextPart[] {
  const characters = [...body]
  const text = (start: number, end?: number) => characters.slice(start, end).join('')
  const parts: TextPart[] = []
  let end = 0
  for (const { start, length, user } of mentions) {
    parts.push({ text: text(end, start) }, { text: text(start, start + length), user })
    end = start + length
  }
  return [...parts, { text: text(end) }].filter(({ text }) => text !== '')
}
