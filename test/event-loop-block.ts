import { once } from 'node:events'
import { z } from 'zod'

const Targets = z.array(z.object({ webSocketDebuggerUrl: z.string() })).min(1)

/**
 * Blocks the event loop of a Node process that listens with `--inspect=127.0.0.1:PORT`, and nothing
 * else of it, as a long synchronous computation would. Resolves when it runs again.
 */
export async function blockEventLoop(inspectorPort: number, ms: number): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${inspectorPort}/json`)
  const [target] = Targets.parse(await answer.json())
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '')
  await once(socket, 'open')
  try {
    const expression = `{ const end = Date.now() + ${ms}; while (Date.now() < end); }`
    const answered = once(socket, 'message')
    socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } }))
    await answered
  } finally {
    socket.close()
  }
}
