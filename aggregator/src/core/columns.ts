import type { PackedRecord } from './packed/packed-record.ts'

/** Events decoded before they are folded: the columns stay in the processor's cache. */
export const COLUMNS_CAPACITY = 4096
const BREAKDOWNS_INITIAL = 4096

/**
 * A batch of events as columns. Decoding writes into them, folding reads them; one set is used
 * again and again, so an event costs no object. Event i has:
 *
 * | column | unit |
 * |---|---|
 * | offset, index | its record's offset; its place within the record |
 * | reason | 0 for a valid event, else 1 + place in INVALID_REASONS; then only offset, index and value hold |
 * | counter | ordinal of its counter in the partition |
 * | slot | of its total series |
 * | at | epoch milliseconds |
 * | delta | a safe integer |
 * | lane | number of its id's lane in the partition's lanes when an SDK made the id, else -1 |
 * | sequence | of its id within the lane, when there is one |
 * | ids | of another id four words: 96 bits of identity, 32 of payload |
 * | misrouted | what is known of its series: HERE, ELSEWHERE, … of placement.ts |
 * | valueStart, valueEnd | its record's value inside `records`, -1 for null; not of a packed one |
 * | breakdowns | slots of its further series, `breakdownSlots[breakdownEnd[i - 1], breakdownEnd[i])` |
 */
export class Columns {
  count = 0
  records: Buffer = Buffer.alloc(0)
  /** The packed record that all rows are of; undefined when each is of a record of its own. */
  packed: PackedRecord | undefined
  readonly offset = new Float64Array(COLUMNS_CAPACITY)
  readonly index = new Int32Array(COLUMNS_CAPACITY)
  readonly reason = new Uint8Array(COLUMNS_CAPACITY)
  readonly counter = new Int32Array(COLUMNS_CAPACITY)
  readonly slot = new Int32Array(COLUMNS_CAPACITY)
  readonly at = new Float64Array(COLUMNS_CAPACITY)
  readonly delta = new Float64Array(COLUMNS_CAPACITY)
  readonly lane = new Int32Array(COLUMNS_CAPACITY)
  readonly sequence = new Float64Array(COLUMNS_CAPACITY)
  readonly ids = new Int32Array(4 * COLUMNS_CAPACITY)
  readonly misrouted = new Uint8Array(COLUMNS_CAPACITY)
  readonly valueStart = new Int32Array(COLUMNS_CAPACITY)
  readonly valueEnd = new Int32Array(COLUMNS_CAPACITY)
  readonly breakdownEnd = new Int32Array(COLUMNS_CAPACITY)
  breakdownSlots = new Int32Array(BREAKDOWNS_INITIAL)
  breakdownCount = 0

  clear(records: Buffer): void {
    this.count = 0
    this.breakdownCount = 0
    this.records = records
    this.packed = undefined
  }

  addBreakdown(slot: number): void {
    if (this.breakdownCount === this.breakdownSlots.length) {
      const larger = new Int32Array(this.breakdownSlots.length * 2)
      larger.set(this.breakdownSlots)
      this.breakdownSlots = larger
    }
    this.breakdownSlots[this.breakdownCount++] = slot
  }
}
