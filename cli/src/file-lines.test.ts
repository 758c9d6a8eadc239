import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Line, LINE_BYTES_MAX, openSource, splitLines, unzipped } from './file-lines.ts'

async function* cut(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let start = 0
  for (let i = 0; start < bytes.length; i++) {
    const end = start + (sizes[i % sizes.length] ?? 1)
    yield bytes.subarray(start, end)
    start = end
  }
}

async function linesOf(bytes: Buffer, sizes: readonly number[]): Promise<Line[]> {
  const lines: Line[] = []
  for await (const some of splitLines(unzipped(cut(bytes, sizes)))) lines.push(...some)
  return lines
}

const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 })

describe('splitLines', () => {
  it('gives the same lines however the bytes are cut, zipped or not', async () => {
    const text = fc.array(fc.stringMatching(/^[ab]{0,6}$/), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(text, fc.boolean(), fc.boolean(), sizes, async (lines, ends, zip, cuts) => {
        const whole = Buffer.from(lines.join('\n') + (ends && lines.length > 0 ? '\n' : ''))
        const expected = whole.toString().split('\n')
        if (expected.at(-1) === '') expected.pop()
        const got = await linesOf(zip ? gzipSync(whole) : whole, cuts)
        expect(got.map((l) => l.bytes?.toString())).toEqual(expected)
        expect(got.map((l) => l.number)).toEqual(expected.map((_, i) => i + 1))
      }),
    )
  })

  it('drops a byte order mark in front and reads zipped files one after another', async () => {
    const marked = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('a\n')])
    const both = Buffer.concat([gzipSync(marked), gzipSync('b\n')])
    const got = await linesOf(both, [7])
    expect(got.map((l) => l.bytes?.toString())).toEqual(['a', 'b'])
  })

  it('does not keep a line that is too long, and goes on behind it', async () => {
    const long = Buffer.alloc(LINE_BYTES_MAX + 1, 'x')
    const bytes = Buffer.concat([Buffer.from('a\n'), long, Buffer.from('\nb'), long])
    const got = await linesOf(bytes, [100_000])
    expect(got.map((l) => [l.number, l.bytes?.toString()])).toEqual([
      [1, 'a'],
      [2, undefined],
      [3, undefined],
    ])
  })

  it('says that gzip data are cut off', async () => {
    const zipped = gzipSync('a\n'.repeat(1000)).subarray(0, -9)
    await expect(linesOf(zipped, [10])).rejects.toThrow(/gzip/)
  })
})

describe('openSource', () => {
  const { signal } = new AbortController()

  it('reads standard input for -', async () => {
    const source = await openSource('-', Readable.from([Buffer.from('a\nb')]), signal)
    const lines: Line[] = []
    for await (const some of source.lines()) lines.push(...some)
    expect(lines.map((l) => l.bytes?.toString())).toEqual(['a', 'b'])
    expect(source.bytesRead()).toBe(3)
  })

  it('says which file is missing', async () => {
    await expect(openSource('nowhere.ndjson', Readable.from([]), signal)).rejects.toThrow(
      /nowhere\.ndjson/,
    )
  })
})
