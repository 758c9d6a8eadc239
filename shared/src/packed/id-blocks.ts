import { SDK_ID } from '../sdk-id.ts'
import { ByteWriter } from './byte-writer.ts'
import { PACKED_LIMITS, RANGE_BLOCK, RAW_BLOCK, VARINT_BYTES_MAX } from './packed-format.ts'

/** A block that is still open: its kind, its two numbers and how many events it covers. */
const OPEN_BLOCK_BYTES = 1 + SDK_ID.sessionChars + 3 * VARINT_BYTES_MAX

/** The ids of a packed record, as blocks: ranges of a lane's sequences, and raw ones. */
export class IdBlocks {
  readonly #blocks = new ByteWriter()
  /** Of the open block: how many ids it has; 0 when none is open. */
  #size = 0
  #isRange = false
  #session = ''
  #lane = 0
  #first = 0
  /** The ids of the open raw block: their number comes before them, and is not known yet. */
  readonly #rawIds = new ByteWriter()
  #previousRaw = ''

  /** An upper bound of what `copyTo` would write. */
  get byteLength(): number {
    return this.#blocks.length + this.#rawIds.length + OPEN_BLOCK_BYTES
  }

  made(session: string, lane: number, sequence: number): void {
    if (
      this.#isRange &&
      this.#size > 0 &&
      sequence === this.#first + this.#size &&
      lane === this.#lane &&
      session === this.#session
    ) {
      this.#size++
      return
    }
    this.#close()
    this.#isRange = true
    this.#session = session
    this.#lane = lane
    this.#first = sequence
    this.#size = 1
  }

  raw(id: string): void {
    if (this.#isRange) this.#close()
    this.#isRange = false
    this.#size++
    const shared = sharedChars(this.#previousRaw, id)
    this.#rawIds.varint(shared)
    this.#rawIds.text(id, shared)
    this.#previousRaw = id
  }

  copyTo(target: Buffer, position: number): number {
    this.#close()
    return this.#blocks.copyTo(target, position)
  }

  clear(): void {
    this.#blocks.clear()
    this.#rawIds.clear()
    this.#size = 0
    this.#isRange = false
    this.#previousRaw = ''
  }

  #close(): void {
    if (this.#size === 0) return
    if (this.#isRange) {
      this.#blocks.byte(RANGE_BLOCK)
      this.#blocks.ascii(this.#session)
      this.#blocks.varint(this.#lane)
      this.#blocks.varint(this.#first)
      this.#blocks.varint(this.#size)
    } else {
      this.#blocks.byte(RAW_BLOCK)
      this.#blocks.varint(this.#size)
      this.#blocks.append(this.#rawIds)
      this.#rawIds.clear()
    }
    this.#size = 0
  }
}

/** The ASCII characters that both begin with: as many bytes. */
function sharedChars(previous: string, id: string): number {
  const most = Math.min(previous.length, id.length, PACKED_LIMITS.sharedBytesMax)
  let shared = 0
  while (shared < most) {
    const code = id.charCodeAt(shared)
    if (code >= 0x80 || code !== previous.charCodeAt(shared)) break
    shared++
  }
  return shared
}
