import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import Connection from 'kafkajs/src/network/connection.js'
import metadataRequests from 'kafkajs/src/protocol/requests/metadata/index.js'
import { pino } from 'pino'
import { afterEach, describe, expect, test } from 'vitest'
import { adaptLogger } from './cluster-client.ts'
import { connectFramed } from './framed-socket.ts'

/*
 * One test for each change in patches/kafkajs+2.2.4.patch; each fails without it. The reasons are
 * in docs/decisions/011-patched-kafkajs.md.
 */

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function listen(
  onSocket: (socket: Socket) => void,
  halfOpen = false,
): Promise<{ port: number; sockets: Socket[] }> {
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: halfOpen }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { port: address.port, sockets }
}

function connectionTo(port: number): Connection {
  return new Connection({
    host: '127.0.0.1',
    port,
    logger: adaptLogger(pino({ level: 'silent' })),
    socketFactory: ({ host, port: to, onConnect }) => connectFramed(host, to, onConnect),
    requestTimeout: 60_000,
    connectionTimeout: 5_000,
    clientId: 'test',
  })
}

/** A request without content, answered by whatever comes back. */
const request = {
  request: {
    apiKey: 3,
    apiVersion: 0,
    apiName: 'Metadata',
    encode: () => Promise.resolve({ buf: Buffer.alloc(0), buffer: Buffer.alloc(0) }),
  },
  response: {
    decode: (payload: Buffer) => Promise.resolve(payload),
    parse: (decoded: unknown) => Promise.resolve(decoded),
  },
}

/** Answers each request with its correlation id and nothing else. */
function answer(socket: Socket): void {
  socket.on('data', (data) => {
    const bytes = Buffer.from(data)
    socket.write(Buffer.concat([Buffer.from([0, 0, 0, 4]), bytes.subarray(8, 12)]))
  })
}

describe('connections of the patched kafkajs', () => {
  test('two callers at once open one socket, not two', async () => {
    const { port, sockets } = await listen(answer)
    const connection = connectionTo(port)
    await Promise.all([connection.connect(), connection.connect()])
    await connection.send(request)
    expect(sockets).toHaveLength(1)
    await connection.disconnect()
  })

  test('a socket that is destroyed fails its requests at once, not at their time-out', async () => {
    const { port } = await listen(() => undefined)
    const connection = connectionTo(port)
    await connection.connect()
    const failed = connection.send(request).catch((error: unknown) => error)
    await new Promise((resolve) => setImmediate(resolve))
    connection.socket?.destroy()
    expect(await failed).toMatchObject({ name: 'KafkaJSConnectionClosedError' })
    expect(connection.isConnected()).toBe(false)
  })

  test('an earlier socket that ends does not end the connection that replaced it', async () => {
    const { port, sockets } = await listen(answer, true)
    const connection = connectionTo(port)
    await connection.connect()
    const earlier = connection.socket
    await connection.disconnect()
    await connection.connect()
    earlier?.emit('end')
    earlier?.emit('error', new Error('too late'))
    expect(connection.isConnected()).toBe(true)
    await connection.send(request)
    expect(sockets).toHaveLength(2)
    await connection.disconnect()
  })

  test('a disconnect closes the socket although the broker keeps its half open', async () => {
    const { port } = await listen((socket) => socket.resume(), true)
    const connection = connectionTo(port)
    await connection.connect()
    const { socket } = connection
    if (socket === undefined) throw new Error('not connected')
    const closed = once(socket, 'close')
    await connection.disconnect()
    await closed
    expect(socket.destroyed).toBe(true)
  })

  test('a response that came whole is handed on where it was read, not copied', async () => {
    const { port } = await listen(answer)
    const connection = connectionTo(port)
    await connection.connect()
    const frames: Buffer[] = []
    connection.socket?.on('data', (frame) => frames.push(Buffer.from(frame.buffer)))
    for (let n = 0; n < 3; n++) {
      const payload = (await connection.send(request)) as Buffer
      expect(payload.buffer).toBe(frames[n]?.buffer)
    }
    await connection.disconnect()
  })

  test('responses set no timer for nothing, of which Node would warn', async () => {
    const warnings: string[] = []
    const note = (warning: Error): number => warnings.push(warning.name)
    process.on('warning', note)
    const { port } = await listen(answer)
    const connection = connectionTo(port)
    await connection.connect()
    await connection.send(request)
    expect(connection.requestQueue.throttleCheckTimeoutId).toBeNull()
    await connection.disconnect()
    process.off('warning', note)
    expect(warnings).toEqual([])
  })
})

describe('metadata of the patched kafkajs', () => {
  const { request: whole, response } = metadataRequests.protocol({ version: 6 })({ topics: [] })

  test('no topics are asked for as none, not as all of the cluster', async () => {
    const { buffer } = await whole.encode()
    expect(buffer.readInt32BE(0)).toBe(0)
  })

  test('a partition without a leader does not hide the others', async () => {
    const partition = (
      partitionId: number,
      leader: number,
      partitionErrorCode: number,
    ): unknown => {
      return { partitionId, leader, partitionErrorCode }
    }
    const partitionMetadata = [partition(0, 1, 0), partition(1, -1, 5)]
    const topicMetadata = [{ topicErrorCode: 0, topic: 't', partitionMetadata }]
    expect(await response.parse({ brokers: [], topicMetadata })).toMatchObject({ topicMetadata })
    const missing = [{ topicErrorCode: 3, topic: 't', partitionMetadata: [] }]
    await expect(response.parse({ brokers: [], topicMetadata: missing })).rejects.toMatchObject({
      type: 'UNKNOWN_TOPIC_OR_PARTITION',
    })
  })
})
