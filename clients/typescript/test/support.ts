// The server, the users and the connections of the tests.
//
// ROOKERY_URL is the address of the server: http://127.0.0.1:8000/graphql. With TRUSTED=1, the
// clients send the ids of documents in place of their texts.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { ApolloClient } from '@apollo/client'
import { WebSocket } from 'ws'
import { type Account, register } from '../src/account'
import { newClient } from '../src/client'
import { newTrustedClient } from '../src/trusted'

export const address = process.env['ROOKERY_URL'] ?? ''
assert(address, 'set ROOKERY_URL to the address of /graphql')
export const isTrusted = process.env['TRUSTED'] === '1'

export const connect = (token?: string): ApolloClient =>
  isTrusted ? newTrustedClient(address, token) : newClient(address, token)

export interface User extends Account {
  /** The user's client, with a cache of its own. */
  readonly client: ApolloClient
}

/** Registers a user. The username has a random suffix. */
export async function newUser(name: string): Promise<User> {
  const username = `${name}_${Math.random().toString(36).slice(2, 10)}`
  const account = await register(connect, username, `${username}@example.com`)
  return { ...account, client: connect(account.token) }
}

const sockets = new Set<WebSocket>()

class TrackedWebSocket extends WebSocket {
  constructor(...args: ConstructorParameters<typeof WebSocket>) {
    super(...args)
    sockets.add(this)
    this.once('close', () => sockets.delete(this))
  }
}
// Node.js 20 has no WebSocket. graphql-ws and Apollo Client expect the one of browsers.
Object.assign(globalThis, { WebSocket: TrackedWebSocket })
// An open socket would keep the process alive.
after(dropSockets)

/** Drops all connections without a closing handshake, and returns their number. */
export function dropSockets(): number {
  for (const socket of sockets) socket.terminate()
  return sockets.size
}

const bodies: string[] = []
const { fetch } = globalThis
globalThis.fetch = (input, init) => {
  bodies.push(String(init?.body))
  return fetch(input, init)
}

/** With TRUSTED=1, the last test of a file: it checks the requests of all tests before it. */
export function testIdsOnly(): void {
  if (!isTrusted) return
  test('every request over HTTP has an id in place of its text', () => {
    assert(bodies.length > 20, `only ${bodies.length} requests`)
    assert.deepEqual(
      bodies.filter((body) => Object.hasOwn(JSON.parse(body), 'query')),
      [],
    )
  })
}
