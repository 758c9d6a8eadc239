import { setImmediate as nextTurn } from 'node:timers/promises'
import { messageOf } from '@countersink/shared/errors'
import type { OutOfRange } from '@countersink/shared/kafka/consumer'
import type { FetchedBatch } from '@countersink/shared/kafka/fetched-batch'
import type { Logger } from '@countersink/shared/log'
import type { Committer } from './committer.ts'
import type { Cooler } from './cooler.ts'
import { BatchFold, type Unreadable } from './core/batch-fold.ts'
import { expectedIds } from './core/ids/expected-ids.ts'
import { LIMITS } from './limits.ts'
import type { OwnedPartition } from './owned-partition.ts'
import type { Ownership } from './ownership.ts'
import { checkRecord, markOf } from './record-check.ts'

export type IntakeOptions = {
  ownership: Pick<Ownership, 'get' | 'halt'>
  committer: Pick<Committer, 'room' | 'notify'>
  cooler: Pick<Cooler, 'room' | 'answer'>
  /** The memory of ids is bounded: no room in it is spent on ids that are yet to come. */
  idsAreBounded: boolean
  logger: Logger
  /** The state can no longer be trusted: drop it and load it again. */
  onDoubt: (owned: OwnedPartition) => void
  /** Resolves when all routing versions are known that events may go by; where a contract asks. */
  untilPlaced: (() => Promise<void>) | undefined
}

export type Intake = {
  /** Folds what was fetched; waits first while there is no room for more. */
  take(batch: FetchedBatch): Promise<void>
  outOfRange(partition: number, offset: number, why: OutOfRange): Promise<void>
}

/** The way from fetched batches into the fold, with every check that must hold before. */
export function createIntake(options: IntakeOptions): Intake {
  const { ownership, committer, cooler, idsAreBounded, logger, onDoubt, untilPlaced } = options
  const batchFold = new BatchFold()

  async function take(batch: FetchedBatch): Promise<void> {
    const owned = ownership.get(batch.partition)
    if (owned === undefined) return
    try {
      await takeIn(owned, batch)
    } catch (error) {
      logger.error({ err: error, partition: owned.partition }, 'a batch could not be taken in')
      onDoubt(owned)
    }
  }

  async function takeIn(owned: OwnedPartition, batch: FetchedBatch): Promise<void> {
    await owned.ready
    await committer.room(owned)
    await untilPlaced?.()
    if (batch.isStale() || owned.dropped || owned.halted !== undefined) return
    if (batch.fetchedOffset !== owned.expectedOffset) {
      const { partition, expectedOffset } = owned
      logger.error({ partition, expectedOffset, fetched: batch.fetchedOffset }, 'unexpected offset')
      onDoubt(owned)
      return
    }
    if (!(await isSameLog(owned, batch))) return
    const stop = await foldInParts(owned, batch)
    if (stop !== undefined) await halt(owned, stop)
  }

  async function halt(owned: OwnedPartition, unreadable: Unreadable): Promise<void> {
    const { offset, reason, nextOffset } = unreadable
    const behind = nextOffset === undefined ? '' : `, the next batch begins at ${nextOffset}`
    await ownership.halt(owned, `offset ${offset} cannot be read${behind}: ${reason}`)
  }

  /**
   * One record batch at a time, or of packed records a part of one, with room asked for before each:
   * a fetch may decompress to far more than it has bytes, and a packed event take two of these. What is
   * folded of it may be committed in between; any split at a record's end is as good.
   */
  async function foldInParts(
    owned: OwnedPartition,
    batch: FetchedBatch,
  ): Promise<Unreadable | undefined> {
    const { corrupt: _atTheEnd, ...whole } = batch
    for (const one of batch.batches) {
      const part = { ...whole, batches: [one], nextOffset: one.nextOffset }
      for (let isFolded = false; !isFolded;) {
        await committer.room(owned)
        await cooler.room(owned)
        if (batch.isStale() || owned.dropped || owned.state === undefined) return undefined
        const stop = foldBatch(owned, part)
        committer.notify()
        if (stop !== undefined) return stop
        isFolded = owned.expectedOffset >= part.nextOffset
        if (batchFold.lacks) await cooler.answer(owned)
        else if (!isFolded) await nextTurn()
      }
    }
    const stop = foldBatch(owned, { ...batch, batches: [] })
    committer.notify()
    return stop
  }

  /** Before the first fold: is the last counted record still the one at its offset? */
  async function isSameLog(owned: OwnedPartition, batch: FetchedBatch): Promise<boolean> {
    const mark = owned.unverified
    if (mark === undefined) return true
    const check = checkRecord(batch, mark)
    if (check === 'not-there-yet') {
      owned.expectedOffset = batch.nextOffset
      if (batch.corrupt !== undefined) await halt(owned, batch.corrupt)
      return false
    }
    if (check === 'different') {
      await ownership.halt(
        owned,
        `the record at offset ${mark.offset} is not the one that was counted: the topic was made again`,
      )
      return false
    }
    owned.unverified = undefined
    return true
  }

  function foldBatch(owned: OwnedPartition, batch: FetchedBatch): Unreadable | undefined {
    const { state } = owned
    if (state === undefined) return undefined
    owned.logEnd = batch.lastStableOffset
    const [next, read, ids] = [state.next, state.ledger.read, state.ids.hashed.size]
    try {
      const stop = batchFold.run(state, batch, LIMITS.eventsPerTurnMax)
      // Now, since its bytes are given back when the fetch is folded.
      if (batchFold.lastRecord !== undefined) owned.lastFolded = markOf(batchFold.lastRecord)
      owned.expectedOffset = Math.min(state.next, batch.nextOffset)
      owned.density.add(state.next - next, state.ledger.read - read)
      if (ids === 0 && state.ids.hashed.size > 0 && !idsAreBounded) {
        const waiting = batch.lastStableOffset - state.next
        state.ids.hashed.expect(expectedIds(state, state.next - next, waiting, Date.now()))
      }
      return stop
    } catch (error) {
      // A bound was reached or a proof was wrong in mid-batch: the state is neither here nor there,
      // and nothing of it may be committed.
      logger.error({ err: error, partition: owned.partition }, 'the fold failed')
      owned.state = undefined
      return { offset: state.next, reason: messageOf(error) }
    }
  }

  return {
    take,
    async outOfRange(partition, offset, why) {
      const owned = ownership.get(partition)
      if (owned === undefined || owned.dropped) return
      await owned.ready
      await ownership.halt(
        owned,
        why === 'other-topic'
          ? `the topic was made again: offset ${offset} of it is not the one that follows`
          : `the log does not hold offset ${offset}: retention has passed it, or the topic was made again`,
      )
    },
  }
}
