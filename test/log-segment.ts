import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OwnServers } from './stack.ts'

const LENGTH = 8
const LENGTH_END = 12
const LAST_OFFSET_DELTA = 23

/** One record batch as it lies in a segment. */
export type SegmentBatch = { start: number; end: number; baseOffset: number; nextOffset: number }

/** The first segment of a partition's log, as a file of a broker that is stopped. */
export type LogSegment = {
  read(): Promise<{ bytes: Buffer; batches: SegmentBatch[] }>
  /** Changes bytes where they are: the broker trusts its indexes, and does not look. */
  rot(bytes: Buffer): Promise<void>
  /** Replaces the log by another; the broker makes new indexes, and checks all of it for that. */
  replace(bytes: Buffer): Promise<void>
}

export function logSegment({ dir }: OwnServers, topic: string, partition: number): LogSegment {
  const place = join(dir, 'kafka', 'data', `${topic}-${partition}`)
  const file = (kind: string): string => join(place, `${'0'.repeat(20)}.${kind}`)
  return {
    async read() {
      const bytes = await readFile(file('log'))
      const batches: SegmentBatch[] = []
      for (let start = 0; start + LAST_OFFSET_DELTA + 4 <= bytes.length;) {
        const end = start + LENGTH_END + bytes.readInt32BE(start + LENGTH)
        const baseOffset = Number(bytes.readBigInt64BE(start))
        const nextOffset = baseOffset + bytes.readInt32BE(start + LAST_OFFSET_DELTA) + 1
        // A segment may be allocated ahead: the rest of it is zeros.
        if (end === start + LENGTH_END) break
        batches.push({ start, end, baseOffset, nextOffset })
        start = end
      }
      return { bytes, batches }
    },
    async rot(bytes) {
      await writeFile(file('log'), bytes)
    },
    async replace(bytes) {
      await writeFile(file('log'), bytes)
      for (const kind of ['index', 'timeindex', 'txnindex']) await rm(file(kind), { force: true })
    },
  }
}
