import { expect, test } from 'vitest'
import { createProducer } from './producer.ts'

test('a batch that a broker would refuse is refused when the producer is made', () => {
  const made = (batchBytesMax: number) =>
    createProducer({ brokers: ['127.0.0.1:1'], topic: 't', batchBytesMax })
  for (const batchBytesMax of [1024 * 1024, 900_001, 0, -1, Number.NaN]) {
    expect(() => made(batchBytesMax)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(/^batchBytesMax is .*: give 1 to 900000 bytes/),
      }),
    )
  }
  expect(made(900_000).stats().added).toBe(0)
})
