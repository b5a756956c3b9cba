import { createHash } from 'node:crypto'
import type { ApolloClient } from '@apollo/client'
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries'
import { parse, print } from 'graphql'
import { check } from './check'
import { newClient } from './client'
import { Followers } from './users'

/** `newClient`, but it sends the hash of a document that the service has had before, and queries by GET. */
export function newPersistingClient(address: string, token?: string): ApolloClient {
  const client = newClient(address, token)
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
  const persisted = new PersistedQueryLink({ sha256, useGETForHashedQueries: true })
  client.setLink(persisted.concat(client.link))
  return client
}

/** The first time a document is refused by its hash and then sent; the second time its hash is enough. */
export async function persistedStory(address: string): Promise<void> {
  const sent: string[] = []
  const original = globalThis.fetch
  globalThis.fetch = async (input, init) => {
    const text = `${String(input)} ${String(init?.body ?? '')}`
    const response = await original(input, init)
    sent.push(`${init?.method ?? 'GET'} ${text.includes('query Followers') ? 'text' : 'hash'} ${response.status}`)
    return response
  }
  try {
    // Nobody has sent it in these words before.
    const words = print(Followers).replace('query Followers', `query Followers${Date.now()}`)
    const query = parse(words) as typeof Followers
    const variables = { by: { username: 'nobody' }, first: 1 }
    const ask = () => newPersistingClient(address).query({ query, variables })
    const first = await ask()
    const before = [...sent]
    const second = await ask()
    check('by hash, nobody is there either', [first.data?.user, second.data?.user], [null, null])
    check('its hash alone is enough the second time', sent.slice(before.length), ['GET hash 200'])
    check('the first time, its text was sent too', before, ['GET hash 400', 'POST text 200'])
  } finally {
    globalThis.fetch = original
  }
}
