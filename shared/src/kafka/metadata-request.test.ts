import { expect, test } from 'vitest'
import { brokerVersionRange } from './broker-version.ts'
import { decodeMetadataResponse, encodeMetadataRequest } from './metadata-request.ts'

/** From a broker of Kafka 4.3.1: one broker, one topic of two partitions. */
const response = Buffer.from(
  [
    '00' + '00000000',
    '02' + '00000001' + '0a' + Buffer.from('127.0.0.1').toString('hex') + '0000620c' + '00' + '00',
    '05' + Buffer.from('clus').toString('hex') + '00000001',
    '02' + '0000' + '02' + Buffer.from('t').toString('hex'),
    '000102030405060708090a0b0c0d0e0f' + '00',
    '03',
    ...[0, 1].map((p) => `0000${'0000000' + p}00000001000000000200000001020000000101` + '00'),
    '80000000' + '00',
    '80000000' + '00',
  ].join(''),
  'hex',
)

test('a response gives the id of the topic and the leaders of its partitions', () => {
  expect(decodeMetadataResponse(response)).toEqual({
    clusterId: 'clus',
    brokers: [{ nodeId: 1, host: '127.0.0.1', port: 25_100 }],
    errorCode: 0,
    topicId: 'AAECAwQFBgcICQoLDA0ODw',
    partitions: [
      { partition: 0, leader: 1, errorCode: 0 },
      { partition: 1, leader: 1, errorCode: 0 },
    ],
  })
})

test('a response that is cut short is an error', () => {
  for (let length = 0; length < response.length - 5; length++) {
    expect(() => decodeMetadataResponse(response.subarray(0, length))).toThrow(RangeError)
  }
})

test('names of any length are asked for', () => {
  for (const length of [1, 126, 127, 249]) {
    const request = encodeMetadataRequest('t'.repeat(length))
    expect(request.toString('latin1')).toContain('t'.repeat(length))
    const prefix = length + 1 < 0x80 ? 1 : 2
    expect(request.length).toBe(2 + 16 + prefix + length + 5)
  }
})

test('a broker tells its release by what it speaks', () => {
  expect(brokerVersionRange({ 1: { minVersion: 4, maxVersion: 18 } })).toBe('4.1 or later')
  expect(brokerVersionRange({ 1: { minVersion: 0, maxVersion: 14 } })).toBe('3.1 or later')
  expect(brokerVersionRange({ 1: { minVersion: 0, maxVersion: 8 } })).toBe('older than 2.3')
})
