import { promisify } from 'node:util'
import {
  gunzip,
  gunzipSync,
  gzip,
  zstdCompress,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib'
import { compressFrame, decompressFrame, decompressFrameSync } from 'lz4-napi'
import { uncompress, uncompressSync } from 'snappy'

/** What one record batch may grow to: beyond it, it is taken for a decompression bomb. */
export const decompressedBatchBytesMax = 64 * 1024 * 1024

/** Below this it is cheaper to decompress here than to ask a thread (about 50 us a round trip). */
const inlineBytesMax = 8 * 1024

const CODEC_NONE = 0
const CODEC_GZIP = 1
const CODEC_SNAPPY = 2
const CODEC_LZ4 = 3
const CODEC_ZSTD = 4

const gzipAsync = promisify(gzip)
const gunzipAsync = promisify(gunzip)
const zstdCompressAsync = promisify(zstdCompress)
const zstdDecompressAsync = promisify(zstdDecompress)

/**
 * Decompresses the records section of a batch, `codec` being the low three bits of its attributes.
 * Rejects when the data are damaged, or would be larger than `bytesMax`. Gives the same buffer when
 * there is nothing to do.
 */
export async function decompress(codec: number, data: Buffer, bytesMax: number): Promise<Buffer> {
  const inline = data.length <= inlineBytesMax
  switch (codec) {
    case CODEC_NONE:
      return data
    case CODEC_GZIP:
      return inline
        ? gunzipSync(data, { maxOutputLength: bytesMax })
        : await gunzipAsync(data, { maxOutputLength: bytesMax })
    case CODEC_SNAPPY:
      return await decompressSnappy(data, bytesMax, inline)
    case CODEC_LZ4:
      assertLz4FrameFits(data, bytesMax)
      return inline ? decompressFrameSync(data) : await decompressFrame(data)
    case CODEC_ZSTD:
      return inline
        ? zstdDecompressSync(data, { maxOutputLength: bytesMax })
        : await zstdDecompressAsync(data, { maxOutputLength: bytesMax })
    default:
      throw new Error(`unknown compression codec ${codec}`)
  }
}

/*
 * Snappy comes in two shapes: one raw block (librdkafka and others), or the framing of snappy-java
 * that Kafka's own producer writes:
 *
 *   82 53 4e 41 50 50 59 00 | version int32 | compatible int32 | { length int32 | raw block }
 */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16

async function decompressSnappy(data: Buffer, bytesMax: number, inline: boolean): Promise<Buffer> {
  if (!data.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) {
    if (snappyBlockBytes(data) > bytesMax) throw tooLarge(bytesMax)
    return await decompressSnappyBlock(data, inline)
  }
  const blocks: Buffer[] = []
  let total = 0
  let position = XERIAL_HEADER_BYTES
  while (position + 4 <= data.length) {
    const length = data.readInt32BE(position)
    position += 4
    if (length < 0 || position + length > data.length)
      throw new Error('a snappy block is cut short')
    const block = data.subarray(position, position + length)
    total += snappyBlockBytes(block)
    if (total > bytesMax) throw tooLarge(bytesMax)
    blocks.push(await decompressSnappyBlock(block, inline))
    position += length
  }
  if (position !== data.length) throw new Error('a snappy block is cut short')
  const [first] = blocks
  return blocks.length === 1 && first !== undefined ? first : Buffer.concat(blocks, total)
}

async function decompressSnappyBlock(block: Buffer, inline: boolean): Promise<Buffer> {
  const output = inline ? uncompressSync(block) : await uncompress(block)
  return typeof output === 'string' ? Buffer.from(output) : output
}

/** A raw block starts with its decompressed size, a plain varint; snappy itself checks it later. */
function snappyBlockBytes(block: Buffer): number {
  let size = 0
  let scale = 1
  for (let i = 0; i < 5; i++) {
    const byte = block[i]
    if (byte === undefined) break
    size += (byte & 0x7f) * scale
    scale *= 128
    if (byte < 0x80) return size
  }
  throw new Error('a snappy block has no size')
}

/*
 * An LZ4 frame: magic | FLG | BD | [content size 8] | [dictionary 4] | HC | { size int32le | block
 * | [checksum 4] } | 0 int32 | [checksum 4]. The library cannot bound its output, so the bound is
 * found beforehand: a block gives no more than the frame's block size, nor than 255 times itself.
 */
const LZ4_MAGIC = 0x184d2204
const LZ4_RATIO_MAX = 255
const LZ4_STORED_BIT = 0x80000000

function assertLz4FrameFits(data: Buffer, bytesMax: number): void {
  if (data.length < 7 || data.readUInt32LE(0) !== LZ4_MAGIC) throw new Error('no LZ4 frame')
  const flags = data.readUInt8(4)
  const sizeCode = (data.readUInt8(5) >> 4) & 7
  if (sizeCode < 4) throw new Error('an LZ4 frame has an unknown block size')
  const blockBytesMax = 1 << (8 + 2 * sizeCode)
  const checksumBytes = (flags & 0x10) === 0 ? 0 : 4
  let position = 7 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4)
  let total = 0
  for (;;) {
    if (position + 4 > data.length) throw new Error('an LZ4 frame is cut short')
    const word = data.readUInt32LE(position)
    position += 4
    if (word === 0) break
    const stored = word >= LZ4_STORED_BIT
    const length = stored ? word - LZ4_STORED_BIT : word
    total += stored ? length : Math.min(blockBytesMax, length * LZ4_RATIO_MAX)
    if (total > bytesMax) throw tooLarge(bytesMax)
    position += length + checksumBytes
  }
  const end = position + ((flags & 0x04) === 0 ? 0 : 4)
  // Bytes behind the frame could be further frames, which the bound above has not seen.
  if (end !== data.length) throw new Error('bytes are left over behind an LZ4 frame')
}

function tooLarge(bytesMax: number): Error {
  return new Error(`the batch would decompress to more than ${bytesMax} bytes`)
}

export type Compression = 'none' | 'gzip' | 'lz4' | 'zstd'

/** Compresses a records section; gives the codec's number for the batch's attributes as well. */
export async function compress(
  compression: Compression,
  data: Buffer,
): Promise<{ codec: number; data: Buffer }> {
  switch (compression) {
    case 'none':
      return { codec: CODEC_NONE, data }
    case 'gzip':
      return { codec: CODEC_GZIP, data: await gzipAsync(data) }
    case 'lz4':
      return { codec: CODEC_LZ4, data: await compressFrame(data) }
    case 'zstd':
      return { codec: CODEC_ZSTD, data: await zstdCompressAsync(data) }
  }
}
