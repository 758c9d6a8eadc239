import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { aggregatorName, assertPortsFree, freePort, LOOPBACK, portLayout } from './ports.ts'

test('one base gives every server a port of its own', () => {
  const { aggregators, ...single } = portLayout(24_000, 3)
  const all = [...Object.values(single), ...aggregators]
  expect(new Set(all).size).toBe(all.length)
  expect(single).toEqual({
    kafka: 24_000,
    kafkaController: 24_001,
    postgres: 24_002,
    redis: 24_003,
    queryApi: 24_004,
    gateway: 24_005,
  })
  expect(aggregators).toEqual([24_010, 24_011, 24_012])
})

test('the first aggregator has no number', () => {
  expect([0, 1, 2].map(aggregatorName)).toEqual(['aggregator', 'aggregator-2', 'aggregator-3'])
})

test('a taken port is named together with what it is for and how to choose another', async () => {
  const port = await freePort()
  await assertPortsFree([['kafka', port]])
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(port, LOOPBACK, resolve))
  try {
    await expect(assertPortsFree([['kafka', port]])).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: expect.stringMatching(new RegExp(`${port} \\(for kafka\\).*--port-base \\d+`)),
    })
  } finally {
    server.close()
  }
})
