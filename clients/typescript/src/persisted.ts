import { createHash } from 'node:crypto'
import type { ApolloClient } from '@apollo/client'
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries'
import { newClient } from './client'

/**
 * Like `newClient`, with automatic persisted queries: it sends the hash of a document, and the text
 * only if the server does not have it. Queries with a hash use GET.
 */
export function newPersistingClient(address: string, token?: string): ApolloClient {
  const client = newClient(address, token)
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
  const persisted = new PersistedQueryLink({ sha256, useGETForHashedQueries: true })
  client.setLink(persisted.concat(client.link))
  return client
}
