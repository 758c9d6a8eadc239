import type { ColdRun, ColdRunKey } from './cold-run.ts'
import type { Columns } from '../columns.ts'
import { ID_WORDS } from './id-shape.ts'
import { NEW, OTHER_PAYLOAD, SAME } from './id-table.ts'

/** So many ids are looked for in Postgres at once: 4 KB are read for each. */
export const COLD_LOOK_UPS_MAX = 2048

/** An id that may be in a run: somebody has to look. */
export type ColdQuestion = { readonly run: ColdRun; readonly id: Int32Array }

type Answer = {
  readonly id: Int32Array
  /** The runs that were looked at. */
  readonly asked: ColdRun[]
  /** The one that has it, and the payload there. */
  found: ColdRun | undefined
  payload: number
}

/**
 * The ids of one partition that are remembered in Postgres. An id is asked for before its event is
 * folded: where a filter says that it may be in a run, the fold has to wait until the run was read.
 * The answers stay until the rows that asked are folded, so the fold itself finds everything here.
 */
export class ColdIds {
  /** By ordinal of the counter. */
  readonly #runs: ColdRun[][] = []
  #all: ColdRun[] = []
  #count = 0
  #byteLength = 0
  /** By the second word of the hash. */
  readonly #answers = new Map<number, Answer[]>()
  #questions: ColdQuestion[] = []
  /** Forgotten buckets whose rows are still in Postgres. */
  readonly expired = new Set<ColdRunKey>()

  get count(): number {
    return this.#count
  }

  get byteLength(): number {
    return this.#byteLength
  }

  get isEmpty(): boolean {
    return this.#all.length === 0
  }

  /** What has to be looked for before the fold can go on. */
  get questions(): readonly ColdQuestion[] {
    return this.#questions
  }

  get isFull(): boolean {
    return this.#questions.length >= COLD_LOOK_UPS_MAX
  }

  add(run: ColdRun): void {
    this.#all.push(run)
    ;(this.#runs[run.counter] ??= []).push(run)
    this.#measure()
  }

  /** Forgets the runs of a counter whose buckets end at or before `time`. */
  expire(counter: number, time: number): void {
    const runs = this.#runs[counter]
    if (runs === undefined || runs.every(({ end }) => end > time)) return
    for (const run of runs) {
      if (run.end > time) continue
      run.isDead = true
      this.expired.add({ counter, end: run.end, through: run.through })
    }
    this.#runs[counter] = runs.filter(({ isDead }) => !isDead)
    this.#all = this.#all.filter(({ isDead }) => !isDead)
    this.#measure()
  }

  noteExpired(key: ColdRunKey): void {
    this.expired.add(key)
  }

  /** Of a bucket's runs the largest `through`: they have all its ids of the commits before. */
  through(counter: number, end: number): number | undefined {
    let through: number | undefined
    for (const run of this.#runs[counter] ?? []) {
      if (run.end === end) through = Math.max(through ?? 0, run.through)
    }
    return through
  }

  countOf(counter: number, end: number): number {
    let count = 0
    for (const run of this.#runs[counter] ?? []) if (run.end === end) count += run.count
    return count
  }

  /**
   * True when some of the rows cannot be folded, because their ids may be in runs that were not
   * looked at; then these are among the questions, as many as there is room for. `isHot` says of an
   * id, by its place in the words, that it is in memory: then it is in no run.
   */
  lacks(columns: Columns, isHot: (at: number) => boolean): boolean {
    const { ids, lane, reason, counter } = columns
    let lacks = false
    for (let row = 0; row < columns.count; row++) {
      if (lane[row]! >= 0 || reason[row] !== 0) continue
      const runs = this.#runs[counter[row]!]
      if (runs === undefined) continue
      const at = row * ID_WORDS
      for (const run of runs) {
        if (!run.mayHave(ids[at]!, ids[at + 1]!)) continue
        if (isHot(at)) break
        if (this.#answer(ids, at)?.asked.includes(run) === true) continue
        lacks = true
        if (this.isFull) return true
        this.#questions.push({ run, id: ids.slice(at, at + 3) })
      }
    }
    return lacks
  }

  /** Takes the questions away: whoever does gives an answer to each. */
  takeQuestions(): ColdQuestion[] {
    const questions = this.#questions
    this.#questions = []
    return questions
  }

  /** Where an id of a question stands in the run's ids, `words[at, at + 4)`; undefined: nowhere. */
  answer({ run, id }: ColdQuestion, payload: number | undefined): void {
    let answer = this.#answer(id, 0)
    if (answer === undefined) {
      answer = { id, asked: [], found: undefined, payload: 0 }
      const alike = this.#answers.get(id[1]!)
      if (alike === undefined) this.#answers.set(id[1]!, [answer])
      else alike.push(answer)
    }
    answer.asked.push(run)
    if (payload === undefined) return
    answer.found = run
    answer.payload = payload
  }

  /** What the answers say of an id that is not in memory: NEW, SAME or OTHER_PAYLOAD. */
  find(words: Int32Array, at: number): number {
    if (this.#answers.size === 0) return NEW
    const answer = this.#answer(words, at)
    if (answer?.found === undefined || answer.found.isDead) return NEW
    return answer.payload === words[at + 3] ? SAME : OTHER_PAYLOAD
  }

  /** The rows that asked are folded. */
  forgetAnswers(): void {
    if (this.#answers.size > 0) this.#answers.clear()
  }

  #answer(words: Int32Array, at: number): Answer | undefined {
    const alike = this.#answers.get(words[at + 1]!)
    if (alike === undefined) return undefined
    return alike.find(({ id }) => id[0] === words[at] && id[2] === words[at + 2])
  }

  #measure(): void {
    this.#count = this.#all.reduce((sum, { count }) => sum + count, 0)
    this.#byteLength = this.#all.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }
}
