import { ByteWriter } from './packed/byte-writer.ts'

/** Where an event of the log went. The position in this list is its stored code. */
export const OUTCOMES = ['applied', 'duplicate', 'conflict', 'late', 'invalid'] as const
export type Outcome = (typeof OUTCOMES)[number]

export const APPLIED = 0
export const DUPLICATE = 1
export const CONFLICT = 2
export const LATE = 3
export const INVALID = 4

/** One event that was not applied: which one, and what became of it. */
export type OutcomeEntry = { offset: number; index: number; outcome: Outcome }

const HAS_INDEX = 0x08
const CODE_MASK = 0x07

/**
 * The outcomes of one commit that are not `applied`, in log order, about two bytes each:
 *
 *     entry := code (offset - previous offset as varint) [index as varint]
 *     code  := outcome | 0x08 when an index follows (0 is left out)
 *
 * The previous offset of the first entry is the commit's first offset.
 */
export class OutcomeWriter {
  readonly #bytes = new ByteWriter()
  #previous = 0

  /** Starts a new list at a commit's first offset. */
  reset(first: number): void {
    this.#bytes.clear()
    this.#previous = first
  }

  add(offset: number, index: number, code: number): void {
    this.#bytes.byte(index === 0 ? code : code | HAS_INDEX)
    this.#bytes.varint(offset - this.#previous)
    if (index !== 0) this.#bytes.varint(index)
    this.#previous = offset
  }

  get byteLength(): number {
    return this.#bytes.length
  }

  /** A copy that stays as it is. */
  take(): Buffer {
    const { bytes, length } = this.#bytes
    return Buffer.from(bytes.subarray(0, length))
  }
}

/** The inverse of OutcomeWriter. `first` is the first offset of the commit that stored `bytes`. */
export function* readOutcomes(bytes: Uint8Array, first: number): Generator<OutcomeEntry> {
  let offset = first
  let at = 0
  const varint = (): number => {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = bytes[at++]
      if (byte === undefined) throw new RangeError('outcomes end in the middle of an entry')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }
  while (at < bytes.length) {
    const code = bytes[at++]!
    const outcome = OUTCOMES[code & CODE_MASK]
    if (outcome === undefined) throw new RangeError(`no outcome has the code ${code}`)
    offset += varint()
    yield { offset, index: (code & HAS_INDEX) === 0 ? 0 : varint(), outcome }
  }
}
