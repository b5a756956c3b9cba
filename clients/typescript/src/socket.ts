import { WebSocket } from 'ws'

const sockets = new Set<WebSocket>()

/** Gives Node.js the `WebSocket` that browsers have, and that `graphql-ws` and Apollo Client look for. */
export function installWebSocket(): void {
  class Tracked extends WebSocket {
    constructor(...args: ConstructorParameters<typeof WebSocket>) {
      super(...args)
      sockets.add(this)
      this.once('close', () => sockets.delete(this))
    }
  }
  Object.assign(globalThis, { WebSocket: Tracked })
}

/** As when the network goes away: no goodbye. Gives how many there were. */
export function cutSockets(): number {
  for (const socket of sockets) socket.terminate()
  return sockets.size
}
