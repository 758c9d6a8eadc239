import { crc32c } from '@node-rs/crc32'
import type { FetchedBatch } from '@countersink/shared/kafka/fetched-batch'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import type { LastRecord } from './core/batch-fold.ts'
import type { RecordMark } from './owned-partition.ts'

/** What a record is recognised by when its log is met again: its offset and its value's CRC32C. */
export function markOf({ offset, records, start, end }: LastRecord): RecordMark {
  return { offset, hash: crc32c(records.subarray(start, end)) | 0 }
}

export type RecordCheck = 'same' | 'different' | 'not-there-yet'

/** Looks for the marked record in a batch that was fetched at its offset. */
export function checkRecord(fetched: FetchedBatch, mark: RecordMark): RecordCheck {
  if (fetched.nextOffset <= mark.offset) return 'not-there-yet'
  const cursor = new RecordCursor()
  for (const batch of fetched.batches) {
    if (batch.nextOffset <= mark.offset) continue
    cursor.open(batch, mark.offset)
    if (!cursor.next() || cursor.offset !== mark.offset) return 'different'
    const { offset, records, valueStart, valueEnd } = cursor
    const [start, end] = [Math.max(valueStart, 0), Math.max(valueEnd, 0)]
    return markOf({ offset, records, start, end }).hash === mark.hash ? 'same' : 'different'
  }
  return 'different'
}
