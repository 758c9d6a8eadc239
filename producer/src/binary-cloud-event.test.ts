import { createServer, request, type IncomingMessage } from 'node:http'
import { parseEventValue } from '@countersink/shared/event'
import { expect, test } from 'vitest'
import {
  type BinaryCloudEvent,
  binaryCloudEvent,
  isBinaryCloudEvent,
} from './binary-cloud-event.ts'

const HEADERS: Record<string, string | string[]> = {
  'ce-specversion': '1.0',
  'ce-id': 'e-1',
  'ce-source': '/shop',
  'ce-type': 'views',
  'ce-subject': 'v_1',
  'ce-time': '2024-05-01T12:00:00Z',
}

/** Sends the headers over a socket and reads the event on the other side. */
async function read(
  headers: Record<string, string | string[] | undefined>,
  body = '',
  mediaType?: string,
): Promise<BinaryCloudEvent> {
  const received = Promise.withResolvers<IncomingMessage>()
  const server = createServer((message, response) => {
    received.resolve(message)
    message.resume()
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const given = Object.entries({ ...HEADERS, ...headers }).filter(
    ([, value]) => value !== undefined,
  )
  request({ port, host: '127.0.0.1', method: 'POST', headers: Object.fromEntries(given) }).end()
  const message = await received.promise
  expect(isBinaryCloudEvent(message)).toBe(true)
  const event = binaryCloudEvent(message, mediaType, Buffer.from(body))
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  return event
}

test('headers and data make the same event as the structured mode', async () => {
  const read1 = await read({}, '{"delta":2,"dims":{"a":"b"}}', 'application/json')
  expect(read1.ok && parseEventValue(read1.event)).toMatchObject({
    ok: true,
    event: {
      id: '5:/shop:e-1',
      counter: 'views',
      key: 'v_1',
      delta: 2,
      dims: new Map([['a', 'b']]),
    },
  })
  const bare = await read({})
  expect(bare.ok && parseEventValue(bare.event)).toMatchObject({ ok: true, event: { delta: 1 } })
})

test('values are quoted and percent-encoded as the HTTP binding says', async () => {
  const event = await read({
    'ce-subject': 'Euro%20%E2%82%AC%20%F0%9F%98%80',
    'ce-id': '"a \\"b\\" c"',
  })
  expect(event).toMatchObject({ ok: true, event: { subject: 'Euro € 😀', id: 'a "b" c' } })
})

test.each([
  [{ 'ce-id': ['a', 'b'] }, '', undefined, 'bad-cloud-event', 'the header ce-id is given 2 times'],
  [
    { 'ce-subject': '100%' },
    '',
    undefined,
    'bad-cloud-event',
    'the header ce-subject is badly encoded',
  ],
  [
    { 'ce-subject': '%ff' },
    '',
    undefined,
    'bad-cloud-event',
    'the header ce-subject is badly encoded',
  ],
  [
    { 'ce-subject': '\u00e4' },
    '',
    undefined,
    'bad-cloud-event',
    'the header ce-subject is badly encoded',
  ],
  [{}, '{"delta":', 'application/json', 'not-json', 'the body is not valid JSON'],
  [
    {},
    'delta=1',
    'text/plain',
    'bad-cloud-event',
    'the data of a binary CloudEvent must be application/json',
  ],
  [
    {},
    '{}',
    undefined,
    'bad-cloud-event',
    'the data of a binary CloudEvent must be application/json',
  ],
])('%j with %j is refused', async (headers, body, mediaType, code, detail) => {
  expect(await read(headers, body, mediaType)).toEqual({ ok: false, code, detail })
})

test('an attribute that is missing is missing from the event', async () => {
  const event = await read({ 'ce-subject': undefined })
  expect(event.ok && parseEventValue(event.event)).toEqual({ ok: false, reason: 'bad-cloud-event' })
})
