import { expect, test } from 'vitest'
import { encodeFetchRequest } from './fetch-request.ts'

const TOPIC = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex').toString('base64url')
const OTHER = Buffer.alloc(16, 0xff).toString('base64url')
const LIMITS = { maxWaitMs: 500, maxBytes: 1 << 20, maxBytesPerPartition: 1 << 16 }

/** Field by field as Kafka's protocol guide has them. */
function partition(number: string, offset: string): string {
  return number + 'ffffffff' + offset + 'ffffffff' + 'ffffffffffffffff' + '00010000' + '00'
}

test('partitions are asked for by the id of their topic', () => {
  const targets = [
    { topicId: TOPIC, partition: 1, offset: 5 },
    { topicId: OTHER, partition: 2, offset: 2 ** 40 },
    { topicId: TOPIC, partition: 3, offset: 0 },
  ]
  expect(encodeFetchRequest(targets, LIMITS).toString('hex')).toBe(
    [
      '00' + 'ffffffff' + '000001f4' + '00000001' + '00100000' + '01' + '00000000' + 'ffffffff',
      '03' + '000102030405060708090a0b0c0d0e0f' + '03',
      partition('00000001', '0000000000000005') + partition('00000003', '0000000000000000') + '00',
      'ff'.repeat(16) + '02' + partition('00000002', '0000010000000000') + '00',
      '01' + '01' + '00',
    ].join(''),
  )
})

test('any number of partitions fits', () => {
  const targets = Array.from({ length: 1000 }, (_, i) => ({
    topicId: TOPIC,
    partition: i,
    offset: i,
  }))
  const request = encodeFetchRequest(targets, LIMITS)
  expect(request.length).toBe(26 + 1 + 16 + 2 + 1000 * 33 + 1 + 3)
})
