import { LOOPBACK } from '@countersink/local/ports'
import { z } from 'zod'

const target = z.array(z.object({ webSocketDebuggerUrl: z.string() })).min(1)
const answer = z.object({ id: z.number(), result: z.looseObject({}).optional() })
const evaluated = z.object({ result: z.object({ value: z.string() }) })
const memory = z.object({
  rss: z.number(),
  heapUsed: z.number(),
  external: z.number(),
  arrayBuffers: z.number(),
})

export type ProcessMemory = z.output<typeof memory>

/** A second collection frees what finalizers of the first let go. */
const COLLECTIONS = 2

/**
 * What a process started with `--inspect=<port>` holds after a full collection, in bytes, asked
 * through the inspector's protocol: nothing in the process has to be made for it.
 */
export async function readMemory(inspectPort: number): Promise<ProcessMemory> {
  const response = await fetch(`http://${LOOPBACK}:${inspectPort}/json/list`)
  const [first] = target.parse(await response.json())
  const socket = new WebSocket(first?.webSocketDebuggerUrl ?? '')
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true })
    socket.addEventListener('error', reject, { once: true })
  })
  try {
    let id = 0
    const ask = async (method: string, params: object = {}): Promise<unknown> => {
      id++
      const answered = answerTo(socket, id)
      socket.send(JSON.stringify({ id, method, params }))
      return answered
    }
    await ask('HeapProfiler.enable')
    for (let i = 0; i < COLLECTIONS; i++) await ask('HeapProfiler.collectGarbage')
    const expression = 'JSON.stringify(process.memoryUsage())'
    const { result } = evaluated.parse(await ask('Runtime.evaluate', { expression }))
    return memory.parse(JSON.parse(result.value))
  } finally {
    socket.close()
  }
}

function answerTo(socket: WebSocket, id: number): Promise<unknown> {
  return new Promise((resolve) => {
    const listen = (event: MessageEvent): void => {
      const parsed = answer.safeParse(JSON.parse(String(event.data)))
      if (!parsed.success || parsed.data.id !== id) return
      socket.removeEventListener('message', listen)
      resolve(parsed.data.result)
    }
    socket.addEventListener('message', listen)
  })
}

/** Bytes allocated on V8's heap so far, from the lines that `--trace-gc` wrote to a log. */
export function allocatedBytes(log: string): number {
  const line = /(?:Scavenge|Mark-Compact)[^:]*? ([\d.]+) \([\d.]+\) -> ([\d.]+) \([\d.]+\) MB/g
  let allocated = 0
  let after = 0
  for (const [, before, left] of log.matchAll(line)) {
    allocated += Math.max(Number(before) - after, 0)
    after = Number(left)
  }
  return allocated * 1024 * 1024
}
