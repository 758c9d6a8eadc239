/**
 * One stored record batch, committed data only: neither control batches nor batches of aborted
 * transactions become one of these. Offsets are plain numbers, which is exact below 2^53.
 */
export type RecordBatch = {
  readonly baseOffset: number
  /** The last offset of the batch + 1, also when compaction removed its last records. */
  readonly nextOffset: number
  readonly count: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  /** True when the topic stamps records itself: then every record's time is `maxTimestampMs`. */
  readonly logAppendTime: boolean
  /** The records section, decompressed; walk it with RecordCursor of record-batch.ts. */
  readonly records: Buffer
}

export type CorruptBatch = {
  readonly offset: number
  readonly reason: string
  /** Where the batch behind it begins, when its own header can be believed about that. */
  readonly nextOffset?: number
}

/** What one fetch brought for one partition. */
export type FetchedBatch = {
  readonly partition: number
  /** The offset that was asked for; records below it in the first batch are not new. */
  readonly fetchedOffset: number
  /** Past everything seen, control batches, aborted and empty ones included. */
  readonly nextOffset: number
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly batches: readonly RecordBatch[]
  /** A batch after those given that cannot be read; the partition stops until resume(p, offset). */
  readonly corrupt?: CorruptBatch
  /** True once the partition has been revoked, or moved by resume(p, offset), since the fetch. */
  isStale(): boolean
  /**
   * Gives the memory of the records back, to be read into again: nothing of `batches` may be looked at
   * behind it, views that were kept included. Need not be called: then the collector takes it.
   */
  release(): void
}
