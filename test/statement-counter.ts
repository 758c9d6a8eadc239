import { once } from 'node:events'
import { connect, createServer } from 'node:net'

export type StatementCounter = {
  /** The same URL by way of the counter. */
  through(databaseUrl: string): string
  /** Statements carried out so far on connections with this `application_name`. */
  count(application: string): number
  stop(): Promise<void>
}

const QUERY = 'Q'.charCodeAt(0)
const EXECUTE = 'E'.charCodeAt(0)
const HEAD_BYTES = 5

/** Stands before Postgres and counts what clients have it do. Everything passes as it comes. */
export async function startStatementCounter(serverPort: number): Promise<StatementCounter> {
  const counts = new Map<string, number>()
  const links = new Set<() => void>()
  const listener = createServer((client) => {
    const server = connect({ host: '127.0.0.1', port: serverPort })
    const reader = new MessageReader((application) => {
      counts.set(application, (counts.get(application) ?? 0) + 1)
    })
    const end = (): void => {
      client.destroy()
      server.destroy()
      links.delete(end)
    }
    links.add(end)
    client.on('data', (data) => reader.take(data))
    client.pipe(server)
    server.pipe(client)
    for (const socket of [client, server]) {
      socket.on('error', end)
      socket.on('close', end)
    }
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port to listen on')
  return {
    through(databaseUrl) {
      const url = new URL(databaseUrl)
      url.port = String(address.port)
      return url.href
    },
    count: (application) => counts.get(application) ?? 0,
    async stop() {
      const closed = once(listener, 'close')
      listener.close()
      for (const end of links) end()
      await closed
    },
  }
}

/** Follows the client's messages without keeping them: a type, a length that counts itself, and more. */
class MessageReader {
  readonly #onStatement: (application: string) => void
  #application: string | undefined
  #head = Buffer.alloc(0)
  /** Bytes of the present message that are still to come. */
  #rest = 0

  constructor(onStatement: (application: string) => void) {
    this.#onStatement = onStatement
  }

  take(data: Buffer): void {
    let at = 0
    if (this.#application === undefined) at = this.#takeStartup(data)
    while (at < data.length) {
      const skipped = Math.min(this.#rest, data.length - at)
      this.#rest -= skipped
      at += skipped
      const wanted = HEAD_BYTES - this.#head.length
      const part = data.subarray(at, at + wanted)
      at += part.length
      this.#head = Buffer.concat([this.#head, part])
      if (this.#head.length < HEAD_BYTES) continue
      const [type] = this.#head
      if (type === QUERY || type === EXECUTE) this.#onStatement(this.#application ?? '')
      this.#rest = this.#head.readInt32BE(1) - 4
      this.#head = Buffer.alloc(0)
    }
  }

  /** The first message has no type. It is small, and clients send it at once. */
  #takeStartup(data: Buffer): number {
    const length = data.readInt32BE(0)
    const fields = data.toString('utf8', 8, length).split('\0')
    const at = fields.findIndex((field, i) => i % 2 === 0 && field === 'application_name')
    this.#application = at < 0 ? '' : (fields[at + 1] ?? '')
    return length
  }
}
