import { grown } from '../typed-growth.ts'

const BUCKETS_INITIAL = 64

/**
 * The numbers by which ids say their bucket. One whose bucket was dropped is dead: ids that have it
 * are forgotten, but still there. It is dealt again when a sweep has seen all ids since.
 */
export class BucketNumbers {
  /** 1 for a dead number. */
  dead = new Uint8Array(BUCKETS_INITIAL)
  #dealt = 0
  readonly #free: number[] = []
  /** Dead ones that the sweep under way is for, and those that the next one will be. */
  #swept: number[] = []
  #unswept: number[] = []

  /** True when ids may be there whose number is dead. */
  get areDead(): boolean {
    return this.#swept.length > 0
  }

  deal(): number {
    const number = this.#free.pop() ?? this.#dealt++
    if (number === this.dead.length) {
      this.dead = grown(this.dead, new Uint8Array(2 * number))
    }
    return number
  }

  drop(number: number): void {
    this.dead[number] = 1
    if (this.#swept.length > 0) this.#unswept.push(number)
    else this.#swept.push(number)
  }

  /** A sweep that began after all those it was for had died has seen every id. */
  endSweep(): void {
    for (const number of this.#swept) {
      this.dead[number] = 0
      this.#free.push(number)
    }
    this.#swept = this.#unswept
    this.#unswept = []
  }
}
