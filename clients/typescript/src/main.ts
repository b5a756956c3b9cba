import { cacheStory } from './cache-story'
import { installWebSocket } from './socket'
import { story } from './story'

const [address] = process.argv.slice(2)
if (address === undefined) throw new Error('usage: npm start -- http://127.0.0.1:8000/graphql')

installWebSocket()
await story(address)
await cacheStory(address)
