import { gzipSync, zstdCompressSync } from 'node:zlib'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'
import { describe, expect, test } from 'vitest'
import { compress, decompress } from './codecs.ts'

const CODECS = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const
const MIB = 1024 * 1024

/** snappy-java's framing, as Kafka's own producer writes it. */
function xerial(data: Buffer, blockBytes: number): Buffer {
  const head = Buffer.from('82534e41505059000000000100000001', 'hex')
  const parts: Buffer[] = [head]
  for (let start = 0; start < data.length; start += blockBytes) {
    const block = compressSync(data.subarray(start, start + blockBytes))
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

const small = Buffer.from('counts, counts, counts and counts')
const large = Buffer.from(
  Array.from({ length: 40_000 }, (_, i) => `{"n":${(i * 7919) % 100_003}}`).join(''),
)

const WAYS: [string, number, (data: Buffer) => Buffer][] = [
  ['gzip', CODECS.gzip, (data) => gzipSync(data)],
  ['raw snappy', CODECS.snappy, (data) => compressSync(data)],
  ['framed snappy', CODECS.snappy, (data) => xerial(data, 32 * 1024)],
  ['lz4', CODECS.lz4, (data) => compressFrameSync(data)],
  [
    'lz4 with checksums',
    CODECS.lz4,
    (data) => compressFrameSync(data, { contentChecksum: true, blockChecksums: true }),
  ],
  ['zstd', CODECS.zstd, (data) => zstdCompressSync(data)],
]

describe.each(WAYS)('%s', (_, codec, pack) => {
  test.each([
    ['a small batch', small],
    ['a large batch', large],
  ])('reads %s', async (_name, data) => {
    const output = await decompress(codec, pack(data), 64 * MIB)
    expect(output.equals(data)).toBe(true)
  })

  test('refuses what would grow beyond the bound, and does not build it first', async () => {
    const bomb = pack(Buffer.alloc(80 * MIB))
    await expect(decompress(codec, bomb, 64 * MIB)).rejects.toThrow()
    await expect(decompress(codec, bomb, 100 * MIB)).resolves.toHaveLength(80 * MIB)
  })

  test('rejects damaged bytes, in a small batch as in a large one', async () => {
    for (const data of [small, large]) {
      const packed = pack(data)
      const noise = Buffer.alloc(packed.length, 0xa5)
      await expect(decompress(codec, noise, 64 * MIB)).rejects.toThrow()
      // Node gives what a cut zstd frame holds; that records are missing shows when they are read.
      const cut = await decompress(codec, packed.subarray(0, -5), 64 * MIB).catch(() => undefined)
      expect(cut?.length ?? 0).toBeLessThan(data.length)
    }
  })
})

test('what the producer compresses can be read', async () => {
  for (const compression of ['none', 'gzip', 'lz4', 'zstd'] as const) {
    const { codec, data } = await compress(compression, large)
    expect(codec).toBe(CODECS[compression])
    expect((await decompress(codec, data, 64 * MIB)).equals(large)).toBe(true)
  }
})

test('an unknown codec is an error', async () => {
  await expect(decompress(5, small, MIB)).rejects.toThrow('codec 5')
})

test('an empty section survives every codec', async () => {
  for (const [, codec, pack] of WAYS) {
    expect(await decompress(codec, pack(Buffer.alloc(0)), MIB)).toHaveLength(0)
  }
})
