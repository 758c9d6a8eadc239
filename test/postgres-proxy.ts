import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A statement on its way to the server, and whose connection it is on (`application_name`). */
export type Statement = { application: string; text: string }

/**
 * What happens to a statement:
 * - `pass`: nothing
 * - `cut`: the connection breaks before the server has it
 * - `swallow-answer`: the server carries it out, and the connection breaks instead of its answer
 * - `fail`: another statement fails in its place, and its client hears of that
 * - `fail-before`: another statement fails on the connection first, and nobody hears of it
 * - `hold`: the server has it, and nothing more passes in either direction: the client seems frozen
 */
export type StatementFate = 'pass' | 'cut' | 'swallow-answer' | 'fail' | 'fail-before' | 'hold'

/** A statement whose fate is a promise waits for it, and the server waits with it. */
export type Decision = (statement: Statement) => StatementFate | Promise<StatementFate>

export type PostgresProxy = {
  readonly port: number
  /** The same URL by way of the proxy. */
  through(databaseUrl: string): string
  /** Decides each statement's fate from now on; gives it up by `undefined`. */
  decide(fate: Decision | undefined): void
  stop(): Promise<void>
}

const QUERY = 'Q'.charCodeAt(0)
const PARSE = 'P'.charCodeAt(0)
const READY_FOR_QUERY = 'Z'.charCodeAt(0)

/** Stands before Postgres and reads along, message by message, to strike at a chosen statement. */
export async function startPostgresProxy(serverPort: number): Promise<PostgresProxy> {
  const links = new Set<{ end: () => void }>()
  let decide: Decision | undefined

  const listener = createServer((client) => {
    const server = connect({ host: '127.0.0.1', port: serverPort })
    const link = createLink(client, server, (statement) => decide?.(statement) ?? 'pass')
    links.add(link)
    client.once('close', () => links.delete(link))
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  const { port } = address

  return {
    port,
    through(databaseUrl) {
      const url = new URL(databaseUrl)
      url.port = String(port)
      return url.href
    },
    decide(fate) {
      decide = fate
    },
    async stop() {
      const closed = once(listener, 'close')
      listener.close()
      for (const link of links) link.end()
      await closed
    },
  }
}

/** One connection. Answers pass as they come, except while an answer is to be swallowed. */
function createLink(client: Socket, server: Socket, decide: Decision): { end: () => void } {
  let application = ''
  let started = false
  let held = false
  let fromClient: Buffer = Buffer.alloc(0)
  let swallowed: Buffer = Buffer.alloc(0)
  /** While it is there the server's answer goes nowhere; called at the end of that answer. */
  let onSwallowed: (() => void) | undefined

  function end(): void {
    client.resetAndDestroy()
    server.resetAndDestroy()
  }

  function swallow(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    swallowed = Buffer.alloc(0)
    onSwallowed = resolve
    return promise
  }

  async function passStatement(message: Buffer, text: string): Promise<void> {
    const decision = decide({ application, text })
    switch (typeof decision === 'string' ? decision : await decision) {
      case 'pass':
        server.write(message)
        return
      case 'cut':
        return end()
      case 'swallow-answer': {
        const answered = swallow()
        server.write(message)
        await answered
        return end()
      }
      case 'fail':
        server.write(simpleQuery('select 1 / 0'))
        return
      case 'fail-before': {
        const answered = swallow()
        server.write(simpleQuery('select 1 / 0'))
        await answered
        onSwallowed = undefined
        server.write(message)
        return
      }
      case 'hold':
        server.write(message)
        held = true
    }
  }

  async function take(data: Buffer): Promise<void> {
    fromClient = Buffer.concat([fromClient, data])
    while (!held) {
      const message = takeMessage(fromClient, started)
      if (message === undefined) return
      fromClient = fromClient.subarray(message.length)
      if (!started) {
        started = true
        application = startupValue(message, 'application_name')
        server.write(message)
        continue
      }
      const text = statementText(message)
      if (text === undefined) server.write(message)
      else await passStatement(message, text)
    }
  }

  // One after the other: what is sent behind a statement that waits must wait behind it.
  let taking: Promise<void> = Promise.resolve()
  client.on('data', (data) => {
    taking = taking.then(() => take(data))
  })
  server.on('data', (data) => {
    if (held) return
    if (onSwallowed === undefined) {
      client.write(data)
      return
    }
    swallowed = Buffer.concat([swallowed, data])
    for (;;) {
      const message = takeMessage(swallowed, true)
      if (message === undefined) return
      swallowed = swallowed.subarray(message.length)
      if (message[0] === READY_FOR_QUERY) onSwallowed()
    }
  })
  for (const socket of [client, server]) {
    socket.on('error', () => undefined)
    socket.on('close', end)
  }
  return { end }
}

/** The first whole message: a type and a length that counts itself, or at the start no type. */
function takeMessage(bytes: Buffer, typed: boolean): Buffer | undefined {
  const head = typed ? 5 : 4
  if (bytes.length < head) return undefined
  const length = bytes.readInt32BE(head - 4) + head - 4
  return bytes.length < length ? undefined : bytes.subarray(0, length)
}

/** The SQL of a Query or Parse message. */
function statementText(message: Buffer): string | undefined {
  if (message[0] === QUERY) return message.toString('utf8', 5, message.length - 1)
  if (message[0] !== PARSE) return undefined
  const start = message.indexOf(0, 5) + 1
  return message.toString('utf8', start, message.indexOf(0, start))
}

function startupValue(message: Buffer, name: string): string {
  const fields = message.toString('utf8', 8).split('\0')
  const at = fields.findIndex((field, i) => i % 2 === 0 && field === name)
  return at < 0 ? '' : (fields[at + 1] ?? '')
}

function simpleQuery(text: string): Buffer {
  const body = Buffer.from(`${text}\0`)
  const head = Buffer.alloc(5)
  head[0] = QUERY
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
