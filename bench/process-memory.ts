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

type ProfileNode = {
  callFrame: { functionName: string; url: string }
  selfSize: number
  children: ProfileNode[]
}
const profileNode: z.ZodType<ProfileNode> = z.lazy(() =>
  z.object({
    callFrame: z.object({ functionName: z.string(), url: z.string() }),
    selfSize: z.number(),
    children: z.array(profileNode),
  }),
)
const sampled = z.object({ profile: z.object({ head: profileNode }) })

export type ProcessMemory = z.output<typeof memory>

/** Bytes that functions of some files allocated, together with what they called. */
export type Allocated = { where: string; bytes: number }

export type ProcessInspector = {
  /** What the process holds after a full collection, in bytes. */
  memory(): Promise<ProcessMemory>
  startSampling(): Promise<void>
  /**
   * What was allocated on V8's heap since, whether collected or not. Each allocation counts for the
   * first of `places` (part of a file's path) that is on its stack from the inside, or for `rest`.
   */
  stopSampling(places: readonly string[]): Promise<Allocated[]>
  close(): void
}

/** A second collection frees what finalizers of the first let go. */
const COLLECTIONS = 2
const SAMPLE_EVERY_BYTES = 16_384

/**
 * Asks a process started with `--inspect=<port>` through the inspector's protocol: nothing in the
 * process has to be made for it.
 */
export async function inspectProcess(inspectPort: number): Promise<ProcessInspector> {
  const response = await fetch(`http://${LOOPBACK}:${inspectPort}/json/list`)
  const [first] = target.parse(await response.json())
  const socket = new WebSocket(first?.webSocketDebuggerUrl ?? '')
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true })
    socket.addEventListener('error', reject, { once: true })
  })
  let id = 0
  const ask = async (method: string, params: object = {}): Promise<unknown> => {
    id++
    const answered = answerTo(socket, id)
    socket.send(JSON.stringify({ id, method, params }))
    return answered
  }
  await ask('HeapProfiler.enable')
  return {
    async memory() {
      for (let i = 0; i < COLLECTIONS; i++) await ask('HeapProfiler.collectGarbage')
      const expression = 'JSON.stringify(process.memoryUsage())'
      const { result } = evaluated.parse(await ask('Runtime.evaluate', { expression }))
      return memory.parse(JSON.parse(result.value))
    },
    async startSampling() {
      await ask('HeapProfiler.startSampling', {
        samplingInterval: SAMPLE_EVERY_BYTES,
        includeObjectsCollectedByMajorGC: true,
        includeObjectsCollectedByMinorGC: true,
      })
    },
    async stopSampling(places) {
      const { profile } = sampled.parse(await ask('HeapProfiler.stopSampling'))
      return byPlace(profile.head, places)
    },
    close: () => socket.close(),
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

function byPlace(head: ProfileNode, places: readonly string[]): Allocated[] {
  const bytes = new Map<string, number>([...places, 'rest'].map((place) => [place, 0]))
  const visit = (node: ProfileNode, outer: string): void => {
    const where = places.find((place) => node.callFrame.url.includes(place)) ?? outer
    bytes.set(where, (bytes.get(where) ?? 0) + node.selfSize)
    for (const child of node.children) visit(child, where)
  }
  visit(head, 'rest')
  return [...bytes].map(([where, size]) => ({ where, bytes: size }))
}
