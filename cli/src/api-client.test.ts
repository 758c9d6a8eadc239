import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createApiClient } from './api-client.ts'

const schema = z.object({ total: z.string() })
const { signal } = new AbortController()
const closing: (() => void)[] = []
afterEach(() => closing.splice(0).forEach((close) => close()))

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('createApiClient', () => {
  it('tries again while the API is away, and parses the answer', async () => {
    let calls = 0
    const base = await serve((_, response) => {
      if (++calls === 1) response.destroy()
      else if (calls === 2) response.writeHead(503).end()
      else response.end('{"total":"5"}')
    })
    const api = createApiClient(`${base}/`, signal)
    await expect(api.get('/x', schema, 5000)).resolves.toEqual({ total: '5' })
    expect(calls).toBe(3)
  })

  it('gives up when its patience is over, at once without any', async () => {
    const base = await serve((_, response) => response.writeHead(503).end('{"detail":"not yet"}'))
    const api = createApiClient(base, signal)
    for (const patienceMs of [0, 300]) {
      await expect(api.get('/x', schema, patienceMs)).rejects.toMatchObject({
        code: 'API_UNAVAILABLE',
        retryable: true,
        message: 'the API answers 503: not yet',
      })
    }
  })

  it('repeats what a refusal says, and refuses answers of others', async () => {
    const base = await serve((request, response) => {
      if (request.url === '/page') response.end('<html>')
      else if (request.url === '/other') response.end('{"total":5}')
      else response.writeHead(400).end('{"title":"Bad","detail":"limit is too large"}')
    })
    const api = createApiClient(base, signal)
    await expect(api.get('/x', schema, 5000)).rejects.toMatchObject({
      code: 'API_REFUSED',
      status: 400,
      message: 'the API answers 400: limit is too large',
    })
    await expect(api.get('/page', schema)).rejects.toThrow(/does not answer JSON/)
    await expect(api.get('/other', schema)).rejects.toThrow(/not answer like a Countersink/)
  })
})
