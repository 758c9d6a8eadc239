import { type ColdBlock, ColdBlocks, payloadIn } from './cold-blocks.ts'
import { ColdRunBuilder, type ColdRunKey } from './cold-run.ts'
import { IdBudget } from './id-budget.ts'
import { ID_WORDS } from './id-shape.ts'
import type { PartitionState } from '../partition-state.ts'

/** For tests: what Postgres has of cold buckets, in memory. */
export class ColdStore {
  readonly #runs = new Map<string, ColdBlock[]>()
  readonly #budget = new IdBudget(1)
  found = 0
  runs = 0

  /** Closes what was folded as far as ids go, and moves all buckets out that may leave. */
  cool(state: PartitionState): void {
    const { hashed } = state.ids
    for (const bucket of hashed.buckets()) {
      hashed.takeFresh(bucket, new Uint8Array(bucket.freshCount * ID_WORDS * 4), 0)
    }
    for (;;) {
      const oldest = this.#budget.candidate([state], true)
      if (oldest === undefined) return
      const cooling = hashed.beginCooling(oldest.bucket, state.next)
      const reader = hashed.readCooling(cooling)
      const builder = new ColdRunBuilder(cooling, cooling.count)
      const cutter = new ColdBlocks()
      const blocks: ColdBlock[] = []
      while (reader.next()) {
        builder.add(reader.words, reader.count)
        blocks.push(...cutter.add(reader.words, reader.count, reader.isWhole))
      }
      blocks.push(...cutter.end())
      const run = builder.end()
      this.#runs.set(nameOf(run), blocks)
      this.runs++
      hashed.endCooling(cooling, run)
    }
  }

  answer(state: PartitionState): void {
    const { cold } = state.ids.hashed
    for (const question of cold.takeQuestions()) {
      const { run, id } = question
      const block = this.#runs.get(nameOf(run))!.findLast(({ first }) => first <= id[0]! >>> 0)!
      const payload = payloadIn(Buffer.from(block.words.buffer), block.whole, id)
      if (payload !== undefined) this.found++
      cold.answer(question, payload)
    }
  }
}

function nameOf({ counter, end, through }: ColdRunKey): string {
  return `${counter} ${end} ${through}`
}
