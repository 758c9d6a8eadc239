import fc from 'fast-check'
import { expect, test } from 'vitest'
import { homePartition, murmur2, partitionHash, recordHash, recordKey } from './routing.ts'

/** Record key, Utils.murmur2 of Kafka's Java client 4.3.1, its default partition of 8 and of 12. */
const JAVA = [
  ['', 275646681, 1, 9],
  ['a', -1563381124, 4, 4],
  ['ab', 316155434, 2, 2],
  ['abc', 479470107, 3, 3],
  ['abcd', -1323649548, 4, 8],
  ['abcde', 461995741, 5, 1],
  ['21', -973932308, 4, 0],
  ['foobar', -790332482, 6, 6],
  ['a-little-bit-long-string', -985981536, 0, 8],
  ['a-little-bit-longer-string', -1486304829, 3, 11],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971, 5, 5],
  ['video_views/v_123', 1245849168, 0, 0],
  ['commits/core/src', 1616351192, 0, 8],
  ['z\u00e4hler/schl\u00fcssel', -1291347016, 0, 4],
  ['\u8a08\u6570/\u6771\u4eac', 661452934, 6, 10],
  ['emoji/\ud83d\ude00\ud83d\ude00', 1731876721, 1, 1],
  ['__proto__/toString', -239792532, 4, 8],
  ['x/\u00ff\u0080\u007f', -1003574431, 1, 1],
] as const

test.each(JAVA)('%j goes where Java puts it', (text, hash, of8, of12) => {
  const key = Buffer.from(text)
  expect(murmur2(key, 0, key.length)).toBe(hash)
  expect(homePartition(partitionHash(key), 8)).toBe(of8)
  expect(homePartition(partitionHash(key), 12)).toBe(of12)
})

test('bytes over 127 are unsigned, as in Java', () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i)
  expect(murmur2(all, 0, 256)).toBe(-1948347274)
  const high = Uint8Array.of(0x80, 0xff, 0x90, 0xfe, 0x81, 0xff, 0xee)
  expect(murmur2(high, 0, high.length)).toBe(-1394622160)
})

test('a range inside other bytes hashes like the bytes alone', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), fc.uint8Array(), (before, bytes, after) => {
      const all = Buffer.concat([before, bytes, after])
      const start = before.length
      expect(murmur2(all, start, start + bytes.length)).toBe(murmur2(bytes, 0, bytes.length))
    }),
  )
})

test('every key has one partition, and the keys spread over all of them', () => {
  const seen = new Map<number, number>()
  for (let i = 0; i < 8000; i++) {
    const partition = homePartition(recordHash('views', `v_${i}`), 8)
    seen.set(partition, (seen.get(partition) ?? 0) + 1)
  }
  expect([...seen.keys()].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  for (const count of seen.values()) expect(count).toBeGreaterThan(800)
})

test('the record key is counter/key in UTF-8', () => {
  expect(recordKey('views', 'ä').toString()).toBe('views/ä')
})
