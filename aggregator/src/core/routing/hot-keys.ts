import { SAMPLE_EVERY, type Sample } from './key-sampler.ts'

export type HotKeyOptions = {
  /** A key is hot that takes more than this part of its partition's events; 0 looks for none. */
  shareMin: number
  /** And at least so many events a second: what is slow needs no spreading. */
  perSecondMin: number
}

export type HotKey = { counter: number; slot: number; share: number; perSecond: number }

/** So many windows in a row: what is hot for a moment is over before a change could take effect. */
const WINDOWS_MIN = 3
/** Fewer looks than this say little about shares, even three times in a row. */
const SAMPLES_MIN = 30

/** Watches one partition window by window, and says which keys have been hot for long enough. */
export class HotKeys {
  readonly #options: HotKeyOptions
  /** Series -> windows in which it was hot, without a break. */
  #streaks = new Map<string, number>()

  constructor(options: HotKeyOptions) {
    this.#options = options
  }

  /** Takes the sample of a window of `ms`; gives the hot keys, hottest first. */
  take({ total, keys }: Sample, ms: number): HotKey[] {
    const { shareMin, perSecondMin } = this.#options
    const streaks = new Map<string, number>()
    const hot: HotKey[] = []
    if (shareMin > 0 && total >= SAMPLES_MIN && ms > 0) {
      for (const { counter, slot, count } of keys) {
        const share = count / total
        const perSecond = (count * SAMPLE_EVERY * 1000) / ms
        if (share <= shareMin || perSecond < perSecondMin) continue
        const name = `${counter}/${slot}`
        const windows = (this.#streaks.get(name) ?? 0) + 1
        streaks.set(name, windows)
        if (windows >= WINDOWS_MIN) hot.push({ counter, slot, share, perSecond })
      }
    }
    this.#streaks = streaks
    return hot.toSorted((a, b) => b.share - a.share)
  }
}

/**
 * To how many partitions a key should go that takes `share` of one of those it goes to now: a power
 * of two times as many, such that half of what makes a key hot remains.
 */
export function waysWanted(share: number, shareMin: number, ways: number): number {
  return ways * 2 ** Math.ceil(Math.log2(share / (shareMin / 2)))
}
