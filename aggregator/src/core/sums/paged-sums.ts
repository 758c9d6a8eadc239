import assert from 'node:assert'
import { PAGE_SHIFT } from '@countersink/shared/page-format'
import { grown } from '../typed-growth.ts'
import { BlockPool, NO_BLOCK } from './block-pool.ts'

/** A directory of so few pages lies in the heap: beyond 64 bytes an array costs memory of its own. */
const PAGES_INITIAL = 16

/** The totals of a counter (`size` 0, `start` 0) or one of its windows, page by page. */
export type Family = {
  counter: number
  size: number
  start: number
  /** page -> block, or -1 */
  directory: Int32Array
  blocks: number
}

/**
 * Sums of neighbouring slots in blocks of 512, found by family and page: what a commit adds, what
 * is dirty, what is cached, all in this one shape, so that adding one to another is a loop over
 * two arrays and nothing is ever sorted. Blocks are taken from a pool, which others may share, and
 * stand in a list from the one allocated or touched first to the last; each carries one number of
 * its holder (`from`).
 */
export class PagedSums {
  readonly pool: BlockPool
  /** What the holder wants to know of a block: an offset. */
  from = new Float64Array(0)
  readonly #family: (Family | undefined)[] = []
  #page = new Int32Array(0)
  #newer = new Int32Array(0)
  #older = new Int32Array(0)
  #oldest = NO_BLOCK
  #newest = NO_BLOCK
  #blocks = 0
  readonly #families = new Map<number, Map<number, Map<number, Family>>>()

  constructor(pool: BlockPool = new BlockPool()) {
    this.pool = pool
  }

  /** Blocks in use. */
  get size(): number {
    return this.#blocks
  }

  /** The oldest block, or -1. Walk on with `after`. */
  get oldest(): number {
    return this.#oldest
  }

  after(block: number): number {
    return this.#newer[block]!
  }

  familyOf(block: number): Family {
    const family = this.#family[block]
    if (family === undefined) throw new RangeError(`block ${block} is free`)
    return family
  }

  pageOf(block: number): number {
    return this.#page[block]!
  }

  *families(): Generator<Family> {
    for (const sizes of this.#families.values()) {
      for (const starts of sizes.values()) yield* starts.values()
    }
  }

  /** The family, made if it is not there. It goes when its last block is freed. */
  family(counter: number, size: number, start: number): Family {
    let sizes = this.#families.get(counter)
    if (sizes === undefined) this.#families.set(counter, (sizes = new Map()))
    let starts = sizes.get(size)
    if (starts === undefined) sizes.set(size, (starts = new Map()))
    let family = starts.get(start)
    if (family === undefined) {
      family = { counter, size, start, directory: new Int32Array(0), blocks: 0 }
      starts.set(start, family)
    }
    return family
  }

  /** The block of a page, or -1. */
  find(counter: number, size: number, start: number, page: number): number {
    const family = this.#families.get(counter)?.get(size)?.get(start)
    return family === undefined ? NO_BLOCK : blockIn(family, page)
  }

  /** The block of a page, allocated as the newest with `from` if it is not there. */
  block(family: Family, page: number, from: number): number {
    const known = blockIn(family, page)
    if (known !== NO_BLOCK) return known
    const block = this.pool.take()
    this.#enter(block, family, page, from)
    return block
  }

  add(block: number, index: number, delta: number): void {
    this.pool.add(block, index, delta)
  }

  sum(block: number, index: number): bigint {
    return this.pool.sum(block, index)
  }

  set(block: number, index: number, value: bigint): void {
    this.pool.set(block, index, value)
  }

  isTouched(block: number, index: number): boolean {
    return this.pool.isTouched(block, index)
  }

  countTouched(block: number): number {
    return this.pool.countTouched(block)
  }

  /** Makes a block the newest. */
  touch(block: number): void {
    if (this.#newest === block) return
    this.#unlist(block)
    this.#list(block)
  }

  /**
   * Takes a block with what is in it from `other`, which shares the pool, as the newest and as a page
   * that is not there yet.
   */
  adopt(block: number, other: PagedSums, family: Family, page: number, from: number): void {
    assert(other.pool === this.pool && blockIn(family, page) === NO_BLOCK)
    other.#leave(block)
    this.#enter(block, family, page, from)
  }

  free(block: number): void {
    this.#leave(block)
    this.pool.release(block)
  }

  /** Frees all. Families go too: whoever kept one has to ask again. */
  clear(): void {
    for (let block = this.#oldest; block !== NO_BLOCK;) {
      const next = this.#newer[block]!
      this.#unlist(block)
      this.#family[block] = undefined
      this.#blocks--
      this.pool.release(block)
      block = next
    }
    this.#families.clear()
  }

  #enter(block: number, family: Family, page: number, from: number): void {
    if (block >= this.from.length) this.#grow()
    if (page >= family.directory.length) family.directory = grownDirectory(family.directory, page)
    family.directory[page] = block
    family.blocks++
    this.#family[block] = family
    this.#page[block] = page
    this.from[block] = from
    this.#list(block)
    this.#blocks++
  }

  #leave(block: number): void {
    const family = this.familyOf(block)
    family.directory[this.#page[block]!] = NO_BLOCK
    family.blocks--
    if (family.blocks === 0) this.#forget(family)
    this.#family[block] = undefined
    this.#unlist(block)
    this.#blocks--
  }

  #forget(family: Family): void {
    const sizes = this.#families.get(family.counter)
    const starts = sizes?.get(family.size)
    starts?.delete(family.start)
    if (starts?.size === 0) sizes?.delete(family.size)
    if (sizes?.size === 0) this.#families.delete(family.counter)
  }

  #list(block: number): void {
    this.#older[block] = this.#newest
    this.#newer[block] = NO_BLOCK
    if (this.#newest === NO_BLOCK) this.#oldest = block
    else this.#newer[this.#newest] = block
    this.#newest = block
  }

  #unlist(block: number): void {
    const older = this.#older[block]!
    const newer = this.#newer[block]!
    if (older === NO_BLOCK) this.#oldest = newer
    else this.#newer[older] = newer
    if (newer === NO_BLOCK) this.#newest = older
    else this.#older[newer] = older
  }

  #grow(): void {
    const blocks = 2 * this.pool.capacity
    // One by one: written to far behind its end, an array becomes a table of hashes.
    while (this.#family.length < blocks) this.#family.push(undefined)
    this.from = grown(this.from, new Float64Array(blocks))
    this.#page = grown(this.#page, new Int32Array(blocks))
    this.#newer = grown(this.#newer, new Int32Array(blocks))
    this.#older = grown(this.#older, new Int32Array(blocks))
  }
}

export function pageOfSlot(slot: number): number {
  return slot >> PAGE_SHIFT
}

function blockIn({ directory }: Family, page: number): number {
  return page < directory.length ? directory[page]! : NO_BLOCK
}

function grownDirectory(directory: Int32Array, page: number): Int32Array<ArrayBuffer> {
  const pages = Math.max(PAGES_INITIAL, Math.ceil(1.5 * (page + 1)))
  const larger = new Int32Array(pages).fill(NO_BLOCK)
  larger.set(directory)
  return larger
}
