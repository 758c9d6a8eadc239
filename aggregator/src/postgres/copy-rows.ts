import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import type { CopyWriter } from './copy-binary.ts'

const CHUNK_BYTES = 1024 * 1024
/** Signature, flags and the length of no extension. */
const HEADER_BYTES = 19
const TRAILER_BYTES = 2

/** Bytes `[start, end)` of a writer: the rows that belong to one partition. */
export type RowRange = { start: number; end: number }

/** Runs `write` and gives the range of rows that it wrote. */
export function rangeOf(writer: CopyWriter, write: () => void): RowRange {
  const start = writer.bytes
  write()
  return { start, end: writer.bytes }
}

/** Copies those ranges of the writer's rows into `table (columns)`; nothing when all are empty. */
export async function copyRows(
  client: pg.ClientBase,
  table: string,
  writer: CopyWriter,
  ranges: readonly RowRange[],
): Promise<void> {
  const rows = ranges.filter(({ start, end }) => end > start)
  if (rows.length === 0) return
  const bytes = writer.finish()
  const stream = client.query(copyFrom(`copy ${table} from stdin with (format binary)`))
  await pipeline(Readable.from(chunks(bytes, rows)), stream)
}

function* chunks(bytes: Buffer, ranges: readonly RowRange[]): Generator<Buffer> {
  yield bytes.subarray(0, HEADER_BYTES)
  for (const { start, end } of ranges) {
    for (let at = start; at < end; at += CHUNK_BYTES) {
      yield bytes.subarray(at, Math.min(end, at + CHUNK_BYTES))
    }
  }
  yield bytes.subarray(bytes.length - TRAILER_BYTES)
}
