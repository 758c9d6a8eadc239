import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** Stands between clients and a server on this machine, and does to them what networks do. */
export type TcpProxy = {
  readonly port: number
  /** Connections that are open now. */
  open(): number
  /**
   * Drops what the server says from now on, on the connections open now and until they end; new
   * ones are whole. With `apiKey` only on those whose last request was of that kind of Kafka's.
   */
  swallowAnswers(apiKey?: number): void
  /** Resets all connections; new ones are accepted. */
  cut(): void
  /** Resets a connection in the middle of its first answer of at least this many bytes; once. */
  cutInside(answerBytesMin: number): void
  stop(): Promise<void>
}

type Pair = { client: Socket; server: Socket; swallows: boolean; apiKey: number }

export async function startTcpProxy(target: { host?: string; port: number }): Promise<TcpProxy> {
  const pairs = new Set<Pair>()
  let cutAtBytes = Number.POSITIVE_INFINITY

  const listener = createServer((client) => {
    const server = connect({ host: target.host ?? '127.0.0.1', port: target.port })
    const pair: Pair = { client, server, swallows: false, apiKey: -1 }
    pairs.add(pair)
    client.pipe(server)
    let burstBytes = 0
    server.on('data', (data) => {
      if (pair.swallows) return
      burstBytes += data.length
      if (burstBytes >= cutAtBytes) {
        cutAtBytes = Number.POSITIVE_INFINITY
        client.write(data.subarray(0, data.length >> 1), () => end(pair))
        return
      }
      if (!client.write(data)) {
        server.pause()
        client.once('drain', () => server.resume())
      }
    })
    client.on('data', (data) => {
      burstBytes = 0
      // A request starts with its size int32 and the API key int16; ours fit into one chunk.
      if (data.length > 6) pair.apiKey = Buffer.from(data).readInt16BE(4)
    })
    for (const socket of [client, server]) {
      socket.on('error', () => undefined)
      socket.on('close', () => end(pair))
    }
  })

  function end(pair: Pair): void {
    pairs.delete(pair)
    pair.client.resetAndDestroy()
    pair.server.resetAndDestroy()
  }

  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  return {
    port: address.port,
    open: () => pairs.size,
    swallowAnswers(apiKey) {
      for (const pair of pairs) {
        if (apiKey === undefined || pair.apiKey === apiKey) pair.swallows = true
      }
    },
    cut() {
      for (const pair of pairs) end(pair)
    },
    cutInside(answerBytesMin) {
      cutAtBytes = answerBytesMin
    },
    async stop() {
      const closed = once(listener, 'close')
      listener.close()
      for (const pair of pairs) end(pair)
      await closed
    },
  }
}
