/** Smaller responses are not worth keeping: the allocator and the collector hardly notice them. */
const KEPT_BYTES_MIN = 256 * 1024
/** A buffer has a multiple of this, so that the next response, never quite as large, fits too. */
const STEP_BYTES = 1024 * 1024
const FREE_BYTES_MAX = 64 * 1024 * 1024
/** So many small responses with no large one among them, and nobody is catching up any more. */
const SMALL_IN_A_ROW_MAX = 200

/**
 * Memory of large responses, used again once its reader gives it back. As garbage it would be a third
 * of what makes V8 collect, and freshly mapped pages for each fetch. Whoever does not give a buffer
 * back leaves it to the collector; nothing is kept of it here.
 */
export class ResponseBuffers {
  readonly #lent = new WeakSet<ArrayBufferLike>()
  #free: ArrayBuffer[] = []
  #freeBytes = 0
  #smallInARow = 0

  /** Bytes that wait for a response. */
  get freeBytes(): number {
    return this.#freeBytes
  }

  /** A buffer of exactly `size` bytes, whose content is anything. */
  take(size: number): Buffer {
    if (size < KEPT_BYTES_MIN) {
      if (++this.#smallInARow === SMALL_IN_A_ROW_MAX) this.#letGo()
      return Buffer.allocUnsafeSlow(size)
    }
    this.#smallInARow = 0
    const memory =
      this.#takeFree(size) ??
      Buffer.allocUnsafeSlow(Math.ceil(size / STEP_BYTES) * STEP_BYTES).buffer
    this.#lent.add(memory)
    return Buffer.from(memory, 0, size)
  }

  /** `bytes` are a response, or a view of one, of which nothing will be read any more. */
  giveBack({ buffer }: Buffer): void {
    if (!(buffer instanceof ArrayBuffer) || !this.#lent.delete(buffer)) return
    if (this.#freeBytes + buffer.byteLength > FREE_BYTES_MAX) return
    this.#free.push(buffer)
    this.#freeBytes += buffer.byteLength
  }

  /** The last one given back that is large enough: the likeliest to be in the cache. */
  #takeFree(size: number): ArrayBuffer | undefined {
    const at = this.#free.findLastIndex(({ byteLength }) => byteLength >= size)
    if (at < 0) return undefined
    const [memory] = this.#free.splice(at, 1)
    this.#freeBytes -= memory!.byteLength
    return memory
  }

  #letGo(): void {
    this.#free = []
    this.#freeBytes = 0
  }
}

/** A response that several readers have views of, each until it says that it is done. */
export class SharedResponse {
  #holders = 0
  readonly #onUnused: () => void

  constructor(onUnused: () => void) {
    this.#onUnused = onUnused
  }

  /** One more reader; gives what it calls when it is done, which may be called again. */
  hold(): () => void {
    this.#holders++
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      if (--this.#holders === 0) this.#onUnused()
    }
  }
}
