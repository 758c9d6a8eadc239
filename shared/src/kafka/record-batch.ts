import type { RecordBatch } from './fetched-batch.ts'

/*
 * A record of a batch of format 2, all numbers zigzag varints unless said:
 *
 *   length | attributes int8 | timestampDelta varlong | offsetDelta | keyLength key | valueLength value
 *   | headerCount { nameLength name | valueLength value }
 *
 * Lengths of -1 stand for null (a header's name may not be null).
 */

const VARINT_BYTES_MAX = 5
const VARLONG_BYTES_MAX = 10
const CONTINUES = 0x80
const LOW_7_BITS = 0x7f

/**
 * Walks the records of a batch without making an object for any of them: one cursor is reused for
 * ever, and `next()` overwrites its plain numeric fields. All positions are in `records`.
 *
 *     cursor.open(batch, fetchedOffset)
 *     while (cursor.next()) use(cursor.records, cursor.valueStart, cursor.valueEnd)
 *     if (cursor.malformed !== '') halt(cursor.malformedOffset, cursor.malformed)
 *
 * A class, because a hot loop over one hidden class is what V8 compiles best.
 */
export class RecordCursor {
  records: Buffer = Buffer.alloc(0)
  offset = 0
  timestampMs = 0
  /** keyStart and keyEnd are -1 when the key is null, likewise for the value. */
  keyStart = -1
  keyEnd = -1
  valueStart = -1
  valueEnd = -1
  headerCount = 0
  headersStart = 0
  headersEnd = 0
  /** Where findHeader or nextHeader stands: the name, and the value (-1 when null). */
  headerNameStart = 0
  headerNameEnd = 0
  headerValueStart = -1
  headerValueEnd = -1
  /** Why the walk stopped before the end, '' when it did not. */
  malformed = ''
  /** The first offset that could not be read; everything before it was given. */
  malformedOffset = 0

  #position = 0
  #remaining = 0
  #baseOffset = 0
  #fromOffset = 0
  #lastDelta = -1
  #deltaMax = 0
  #baseTimestampMs = 0
  #maxTimestampMs = 0
  #logAppendTime = false
  #headerPosition = 0
  #headersLeft = 0
  #overrun = false

  /** Starts at the first record of `batch` whose offset is not below `fromOffset`. */
  open(batch: RecordBatch, fromOffset: number): void {
    this.records = batch.records
    this.malformed = ''
    this.malformedOffset = batch.nextOffset
    this.#position = 0
    this.#remaining = batch.count
    this.#baseOffset = batch.baseOffset
    this.#fromOffset = fromOffset
    this.#lastDelta = -1
    this.#deltaMax = batch.nextOffset - batch.baseOffset - 1
    this.#baseTimestampMs = batch.baseTimestampMs
    this.#maxTimestampMs = batch.maxTimestampMs
    this.#logAppendTime = batch.logAppendTime
    this.#overrun = false
  }

  /** Moves to the next record; false at the end, and where the batch cannot be read further. */
  next(): boolean {
    while (this.#remaining > 0) {
      if (!this.#readRecord()) return false
      this.#remaining--
      if (this.offset >= this.#fromOffset) return true
    }
    if (this.#position !== this.records.length && this.malformed === '') {
      this.#fail('bytes are left over behind the last record', this.#lastDelta + 1)
    }
    return false
  }

  /**
   * Finds the header of that name (UTF-8 bytes), the last one if it is repeated, as Kafka's own
   * `lastHeader` does. Gives headerValueStart and headerValueEnd.
   */
  findHeader(name: Uint8Array): boolean {
    if (this.headerCount === 0) return false
    let valueStart = -2
    let valueEnd = -2
    this.rewindHeaders()
    while (this.nextHeader()) {
      if (!this.#nameIs(name)) continue
      valueStart = this.headerValueStart
      valueEnd = this.headerValueEnd
    }
    if (valueStart === -2) return false
    this.headerValueStart = valueStart
    this.headerValueEnd = valueEnd
    return true
  }

  rewindHeaders(): void {
    this.#headerPosition = this.headersStart
    this.#headersLeft = this.headerCount
  }

  /** Moves to the record's next header. Safe without checks: `next()` has walked them all. */
  nextHeader(): boolean {
    if (this.#headersLeft <= 0) return false
    this.#headersLeft--
    const position = this.#position
    this.#position = this.#headerPosition
    const nameLength = this.#varint(this.headersEnd)
    this.headerNameStart = this.#position
    this.headerNameEnd = this.#position + nameLength
    this.#position = this.headerNameEnd
    const valueLength = this.#varint(this.headersEnd)
    this.headerValueStart = valueLength < 0 ? -1 : this.#position
    this.headerValueEnd = valueLength < 0 ? -1 : this.#position + valueLength
    this.#headerPosition = this.#position + Math.max(valueLength, 0)
    this.#position = position
    return true
  }

  #readRecord(): boolean {
    const size = this.records.length
    const length = this.#varint(size)
    const end = this.#position + length
    // The shortest record has a byte for each of its six fields before the headers.
    if (this.#overrun || length < 6 || end > size) return this.#fail('a record is cut short')
    this.#position++
    const timestampDelta = this.#varlong(end)
    const offsetDelta = this.#varint(end)
    if (!this.#readKeyAndValue(end)) return false
    if (!this.#readHeaders(end)) return false
    if (this.#position !== end) return this.#fail('a record is shorter than it says')
    if (offsetDelta <= this.#lastDelta || offsetDelta > this.#deltaMax) {
      return this.#fail('a record has an offset outside its batch or out of order')
    }
    this.#lastDelta = offsetDelta
    this.offset = this.#baseOffset + offsetDelta
    this.timestampMs = this.#logAppendTime
      ? this.#maxTimestampMs
      : this.#baseTimestampMs + timestampDelta
    return true
  }

  #readKeyAndValue(end: number): boolean {
    const keyLength = this.#varint(end)
    this.keyStart = keyLength < 0 ? -1 : this.#position
    this.keyEnd = keyLength < 0 ? -1 : this.#position + keyLength
    if (keyLength > 0) this.#position += keyLength
    if (keyLength < -1 || this.#position > end) return this.#fail('a key is longer than its record')
    const valueLength = this.#varint(end)
    this.valueStart = valueLength < 0 ? -1 : this.#position
    this.valueEnd = valueLength < 0 ? -1 : this.#position + valueLength
    if (valueLength > 0) this.#position += valueLength
    if (valueLength < -1 || this.#position > end) {
      return this.#fail('a value is longer than its record')
    }
    return true
  }

  #readHeaders(end: number): boolean {
    const count = this.#varint(end)
    this.headerCount = count
    this.headersStart = this.#position
    this.headersEnd = end
    if (this.#overrun) return this.#fail('a record is cut short')
    if (count === 0) return true
    // A header takes two bytes at least, so that a wild count cannot keep the loop below busy.
    if (count < 0 || count * 2 > end - this.#position) {
      return this.#fail('a record has a wrong number of headers')
    }
    for (let i = 0; i < count; i++) {
      const nameLength = this.#varint(end)
      this.#position += nameLength
      if (nameLength < 0 || this.#position > end) return this.#fail('a header is cut short')
      const valueLength = this.#varint(end)
      if (valueLength > 0) this.#position += valueLength
      if (this.#overrun || valueLength < -1 || this.#position > end) {
        return this.#fail('a header is cut short')
      }
    }
    return true
  }

  #fail(reason: string, delta = this.#lastDelta + 1): false {
    this.malformed = reason
    this.malformedOffset = this.#baseOffset + delta
    this.#remaining = 0
    return false
  }

  /** A zigzag varint of 32 bits that ends before `limit`; otherwise #overrun is set. */
  #varint(limit: number): number {
    const records = this.records
    let position = this.#position
    if (position >= limit) {
      this.#overrun = true
      return 0
    }
    let byte = byteAt(records, position++)
    let value = byte & LOW_7_BITS
    let shift = 7
    while (byte >= CONTINUES) {
      if (position >= limit || shift === VARINT_BYTES_MAX * 7) {
        this.#overrun = true
        return 0
      }
      byte = byteAt(records, position++)
      value |= (byte & LOW_7_BITS) << shift
      shift += 7
    }
    this.#position = position
    return (value >>> 1) ^ -(value & 1)
  }

  /** A zigzag varint of 64 bits, as a number: exact below 2^53, as all times in use are. */
  #varlong(limit: number): number {
    const records = this.records
    let position = this.#position
    let value = 0
    let scale = 1
    for (let i = 0; i < VARLONG_BYTES_MAX; i++) {
      if (position >= limit) break
      const byte = byteAt(records, position++)
      value += (byte & LOW_7_BITS) * scale
      scale *= 128
      if (byte < CONTINUES) {
        this.#position = position
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      }
    }
    this.#overrun = true
    return 0
  }

  #nameIs(name: Uint8Array): boolean {
    const start = this.headerNameStart
    if (this.headerNameEnd - start !== name.length) return false
    for (let i = 0; i < name.length; i++) {
      if (byteAt(this.records, start + i) !== name[i]) return false
    }
    return true
  }
}

/** The callers have compared `position` with the end, so there is a byte. */
function byteAt(buffer: Uint8Array, position: number): number {
  return buffer[position] as number
}
