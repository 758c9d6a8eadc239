import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFramer } from './framed-socket.ts'
import { ResponseBuffers } from './response-buffers.ts'

function framed(content: Uint8Array): Buffer {
  const frame = Buffer.alloc(4 + content.length)
  frame.writeInt32BE(content.length)
  frame.set(content, 4)
  return frame
}

/** Writes `bytes` into the framer as a socket would, at most `chunks[i]` at a time. */
function feed(bytes: Buffer, chunks: number[]): Buffer[] {
  const frames: Buffer[] = []
  const framer = createFramer((frame) => frames.push(Buffer.from(frame)), new ResponseBuffers())
  let position = 0
  for (let i = 0; position < bytes.length; i++) {
    const target = framer.target()
    expect(target.length).toBeGreaterThan(0)
    const length = Math.min(target.length, chunks[i % chunks.length] ?? 1, bytes.length - position)
    target.set(bytes.subarray(position, position + length))
    expect(framer.filled(length)).toBe(true)
    position += length
  }
  return frames
}

const contents = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 50 }),
    fc.integer({ min: 60_000, max: 200_000 }).map((length) => new Uint8Array(length).fill(length)),
  ),
  { maxLength: 8 },
)

test('responses come out whole and in order, however the bytes arrive', () => {
  const chunks = fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(contents, chunks, (parts, sizes) => {
      const frames = parts.map(framed)
      const got = feed(Buffer.concat(frames), sizes)
      expect(got.length).toBe(frames.length)
      got.forEach((frame, index) =>
        expect(frame.equals(frames[index] ?? Buffer.alloc(0))).toBe(true),
      )
    }),
    { numRuns: 300 },
  )
})

test('single bytes are enough', () => {
  const frames = [framed(Buffer.from('one')), framed(Buffer.alloc(0)), framed(Buffer.from('two'))]
  expect(feed(Buffer.concat(frames), [1]).map(String)).toEqual(frames.map(String))
})

test('a frame is not overwritten by what comes after it', () => {
  const frames: Buffer[] = []
  const framer = createFramer((frame) => frames.push(frame), new ResponseBuffers())
  for (const word of ['one', 'two']) {
    const bytes = framed(Buffer.from(word))
    framer.target().set(bytes)
    framer.filled(bytes.length)
  }
  expect(frames.map((frame) => frame.toString('utf8', 4))).toEqual(['one', 'two'])
})

test.each([-1, 0x7fffffff])('a size of %i is not from Kafka', (size) => {
  const framer = createFramer(() => expect.unreachable(), new ResponseBuffers())
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(size)
  framer.target().set(bytes)
  expect(framer.filled(4)).toBe(false)
})
