import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse, print } from 'graphql'
import { newPersistingClient } from '../src/persisted'
import { Followers } from '../src/users'
import { address } from './support'

test('automatic persisted queries', async (t) => {
  const sent: string[] = []
  const original = globalThis.fetch
  t.after(() => (globalThis.fetch = original))
  globalThis.fetch = async (input, init) => {
    const text = `${String(input)} ${String(init?.body ?? '')}`
    const response = await original(input, init)
    const content = text.includes('query Followers') ? 'text' : 'hash'
    sent.push(`${init?.method ?? 'GET'} ${content} ${response.status}`)
    return response
  }

  // The name makes a text that the server has not received before.
  const text = print(Followers).replace('query Followers', `query Followers${Date.now()}`)
  const query = parse(text) as typeof Followers
  const variables = { by: { username: 'unknown' }, first: 1 }
  const execute = () => newPersistingClient(address).query({ query, variables })
  const first = await execute()
  const sentFirst = sent.splice(0)
  const second = await execute()

  await t.test('both requests return the data', () => {
    assert.deepEqual([first.data?.user, second.data?.user], [null, null])
  })
  await t.test('the first request sends the hash, and then the text', () => {
    assert.deepEqual(sentFirst, ['GET hash 400', 'POST text 200'])
  })
  await t.test('the second request sends the hash alone', () => {
    assert.deepEqual(sent, ['GET hash 200'])
  })
})
