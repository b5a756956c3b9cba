import { cacheStory } from './cache-story'
import { check } from './check'
import { newClient } from './client'
import { persistedStory } from './persisted'
import { installWebSocket } from './socket'
import { story } from './story'
import { newTrustedClient } from './trusted'

const [address, mode] = process.argv.slice(2)
if (address === undefined || (mode !== undefined && mode !== '--trusted'))
  throw new Error('usage: npm start -- http://127.0.0.1:8000/graphql [--trusted]')

installWebSocket()
const bodies = recordBodies()
const makeClient = mode === '--trusted' ? newTrustedClient : newClient
const connect = (token?: string) => makeClient(address, token)
await story(connect)
await cacheStory(connect)
if (mode === '--trusted') {
  const texts = bodies.filter((body) => body.includes('"query":'))
  check('requests over HTTP have ids in place of texts', [bodies.length > 50, texts], [true, []])
} else {
  await persistedStory(address)
}

/** What goes over HTTP from now on. */
function recordBodies(): string[] {
  const bodies: string[] = []
  const { fetch } = globalThis
  globalThis.fetch = (input, init) => {
    bodies.push(String(init?.body))
    return fetch(input, init)
  }
  return bodies
}
