import type { PageKey } from './dirt.ts'

/** Windows of a counter and size whose pages are known one by one; of older ones any may be stored. */
const WINDOWS_MAX = 16

/** One bit a page. */
type Pages = Uint32Array<ArrayBuffer>

type Windows = {
  /** Of windows that begin at or before this, any page may be stored. */
  unknownTo: number
  /** start -> pages written since the load */
  written: Map<number, Pages>
}

/**
 * Which pages the tables can have, so that nobody asks for one that is surely new: catching up,
 * nearly all pages of windows are. When a partition is loaded nothing beyond the clocks of its
 * counters was ever counted, so no page of a window that begins later can be stored; from then on
 * its owner is the only one who writes them.
 */
export class StoredPages {
  /** counter -> its clock when it was loaded; a counter that was met since has none. */
  readonly #clocks = new Map<number, number>()
  readonly #counters = new Map<number, Map<number, Windows>>()

  /** A counter was loaded with this clock: what it had counted before, any page may hold. */
  loaded(counter: number, clock: number): void {
    this.#clocks.set(counter, clock)
  }

  mayHave({ counter, size, start, page }: PageKey): boolean {
    const { unknownTo, written } = this.#windows(counter, size)
    if (start <= unknownTo) return true
    const pages = written.get(start)
    return pages !== undefined && ((pages[page >>> 5] ?? 0) & (1 << (page & 31))) !== 0
  }

  /** A commit writes the page; when it fails, the state goes, and this with it. */
  add({ counter, size, start, page }: PageKey): void {
    const windows = this.#windows(counter, size)
    if (start <= windows.unknownTo) return
    let pages = windows.written.get(start)
    if (pages === undefined || page >>> 5 >= pages.length) {
      pages = enlarged(pages, page)
      windows.written.set(start, pages)
      if (windows.written.size > WINDOWS_MAX) forgetOldest(windows)
    }
    pages[page >>> 5]! |= 1 << (page & 31)
  }

  #windows(counter: number, size: number): Windows {
    let sizes = this.#counters.get(counter)
    if (sizes === undefined) this.#counters.set(counter, (sizes = new Map()))
    let windows = sizes.get(size)
    if (windows === undefined) {
      windows = { unknownTo: this.#unknownTo(counter, size), written: new Map() }
      sizes.set(size, windows)
    }
    return windows
  }

  #unknownTo(counter: number, size: number): number {
    const clock = this.#clocks.get(counter)
    if (clock === undefined) return -Infinity
    // Totals have no window: of a counter that is not new, any may be stored.
    return size === 0 ? Infinity : clock
  }
}

function enlarged(pages: Pages | undefined, page: number): Pages {
  const larger = new Uint32Array(Math.max((page >>> 5) + 1, (pages?.length ?? 0) * 2))
  if (pages !== undefined) larger.set(pages)
  return larger
}

function forgetOldest(windows: Windows): void {
  const oldest = Math.min(...windows.written.keys())
  windows.written.delete(oldest)
  windows.unknownTo = oldest
}
