import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { addAbortSignal, pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { CountersinkError, messageOf } from '@countersink/shared/errors'

/** A longer line cannot hold an event; it is reported without being kept in memory. */
export const LINE_BYTES_MAX = 1024 * 1024

const READ_BYTES = 256 * 1024
const NEWLINE = 0x0a
const BOM = Buffer.from([0xef, 0xbb, 0xbf])

/** One line without its line break. `bytes` is undefined when the line is longer than the bound. */
export type Line = { number: number; bytes: Buffer | undefined }

export type Source = {
  name: string
  /** Size of the file as it is stored; undefined for a stream. */
  bytes: number | undefined
  /** Stored bytes read so far. */
  bytesRead(): number
  lines(): AsyncGenerator<Line[]>
}

/** A file, or standard input for `-`. Throws CONFIG_INVALID when there is no such file. */
export async function openSource(
  file: string,
  stdin: Readable,
  signal: AbortSignal,
): Promise<Source> {
  // A stream that waits for input has to be ended from outside.
  if (file === '-') return createSource('-', undefined, () => addAbortSignal(signal, stdin))
  const found = await stat(file).catch((error: unknown) => {
    throw new CountersinkError('CONFIG_INVALID', `cannot read ${file}: ${messageOf(error)}`)
  })
  if (found.isDirectory()) throw new CountersinkError('CONFIG_INVALID', `${file} is a directory`)
  const size = found.isFile() ? found.size : undefined
  return createSource(file, size, () => createReadStream(file, { highWaterMark: READ_BYTES }))
}

function createSource(name: string, bytes: number | undefined, open: () => Readable): Source {
  let read = 0
  async function* counted(): AsyncGenerator<Buffer> {
    read = 0
    for await (const chunk of open()) {
      const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
      read += buffer.length
      yield buffer
    }
  }
  return { name, bytes, bytesRead: () => read, lines: () => splitLines(unzipped(counted())) }
}

/** The bytes themselves, or what they unzip to when they begin with gzip's magic bytes. */
export async function* unzipped(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const iterator = chunks[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  while (head.length < 2) {
    const next = await iterator.next()
    if (next.done === true) break
    head = Buffer.concat([head, next.value])
  }
  const rest = continued(head, iterator)
  if (head[0] !== 0x1f || head[1] !== 0x8b) {
    yield* rest
    return
  }
  const gunzip = createGunzip({ chunkSize: READ_BYTES })
  // An error of either end surfaces where the output is iterated.
  pipeline(Readable.from(rest, { objectMode: false }), gunzip, () => {})
  try {
    for await (const chunk of gunzip) yield chunk as Buffer
  } catch (error) {
    throw new CountersinkError(
      'CONFIG_INVALID',
      `the gzip data end or are broken: ${messageOf(error)}`,
    )
  }
}

async function* continued(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head
  try {
    for (let next = await rest.next(); next.done !== true; next = await rest.next())
      yield next.value
  } finally {
    await rest.return?.()
  }
}

/** Lines in lists, one list a chunk; the last line needs no line break. A BOM in front is dropped. */
export async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Line[]> {
  let number = 0
  let rest: Buffer[] = []
  let restBytes = 0
  const finish = (tail: Buffer): Line => {
    number++
    const whole = rest.length === 0 ? tail : Buffer.concat([...rest, tail])
    const tooLong = restBytes + tail.length > LINE_BYTES_MAX
    rest = []
    restBytes = 0
    if (tooLong) return { number, bytes: undefined }
    const marked = number === 1 && whole.subarray(0, BOM.length).equals(BOM)
    return { number, bytes: marked ? whole.subarray(BOM.length) : whole }
  }
  for await (const chunk of chunks) {
    const lines: Line[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      lines.push(finish(chunk.subarray(start, end)))
      start = end + 1
    }
    const tail = chunk.subarray(start)
    restBytes += tail.length
    if (restBytes <= LINE_BYTES_MAX) rest.push(tail)
    else rest = []
    if (lines.length > 0) yield lines
  }
  if (restBytes > 0) yield [finish(Buffer.alloc(0))]
}
