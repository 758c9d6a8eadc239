import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { createDelivery } from './delivery.ts'
import type { FetchedBatch } from './fetched-batch.ts'
import { createPartitionState, type PartitionState } from './partition-state.ts'

function batchOf(partition: number, fetchedOffset: number): FetchedBatch {
  const ends = { logStartOffset: 0, highWatermark: 10, lastStableOffset: 10 }
  const nextOffset = fetchedOffset + 1
  return {
    partition,
    fetchedOffset,
    nextOffset,
    ...ends,
    batches: [],
    isStale: () => false,
    release: () => undefined,
  }
}

function setUp(onBatch: (batch: FetchedBatch) => Promise<void>): {
  delivery: ReturnType<typeof createDelivery>
  states: Map<number, PartitionState>
  member: { alive: boolean }
  offer: (partition: number, offset: number) => PartitionState
} {
  const states = new Map<number, PartitionState>()
  const member = { alive: true }
  const delivery = createDelivery({
    logger: pino({ level: 'silent' }),
    onBatch,
    current: (partition) => states.get(partition),
    isAlive: () => member.alive,
    onRoom: () => undefined,
  })
  return {
    delivery,
    states,
    member,
    offer(partition, offset) {
      const state = states.get(partition) ?? createPartitionState(partition)
      states.set(partition, state)
      state.ready = batchOf(partition, offset)
      delivery.offer(state)
      return state
    },
  }
}

/** Resolves after the immediates that are due now, and those that they set. */
async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

describe('delivery', () => {
  test('gives a partition its next batch only when the last is done, others meanwhile', async () => {
    const seen: string[] = []
    const first = Promise.withResolvers<void>()
    const { delivery, offer } = setUp(async ({ partition, fetchedOffset }) => {
      seen.push(`${partition}:${fetchedOffset}`)
      if (partition === 0 && fetchedOffset === 0) await first.promise
    })
    offer(0, 0)
    await turns()
    offer(0, 1)
    offer(1, 0)
    await turns()
    expect(seen).toEqual(['0:0', '1:0'])
    first.resolve()
    await delivery.settled(0)
    await turns()
    expect(seen).toEqual(['0:0', '1:0', '0:1'])
  })

  test('starts each batch on a turn of its own', async () => {
    const turnsSeen: number[] = []
    let turn = 0
    const { offer } = setUp(async () => {
      turnsSeen.push(turn)
    })
    offer(0, 0)
    offer(1, 0)
    offer(2, 0)
    for (; turn < 6; turn++) await turns(1)
    expect(new Set(turnsSeen).size).toBe(3)
  })

  test('nothing of a partition that was lost is delivered', async () => {
    const seen: number[] = []
    const { offer, states } = setUp(async ({ partition }) => {
      seen.push(partition)
    })
    offer(0, 0)
    offer(1, 0)
    states.delete(0)
    await turns()
    expect(seen).toEqual([1])
  })

  test('a partition whose reader throws stops, the others go on', async () => {
    const seen: number[] = []
    const { offer } = setUp(async ({ partition }) => {
      seen.push(partition)
      if (partition === 0) throw new Error('broken')
    })
    const broken = offer(0, 0)
    const whole = offer(1, 0)
    await turns()
    expect(seen).toEqual([0, 1])
    expect([broken.stopped, whole.stopped]).toEqual([true, false])
  })

  test('nothing starts while the membership is in doubt, and goes on after it', async () => {
    const seen = Promise.withResolvers<number>()
    let count = 0
    const { offer, member } = setUp(async ({ partition }) => {
      count++
      seen.resolve(partition)
    })
    member.alive = false
    offer(3, 0)
    await turns()
    expect(count).toBe(0)
    member.alive = true
    expect(await seen.promise).toBe(3)
  })

  test('close waits for what runs and starts nothing more', async () => {
    const first = Promise.withResolvers<void>()
    const seen: number[] = []
    const { delivery, offer } = setUp(async ({ partition }) => {
      seen.push(partition)
      await first.promise
    })
    offer(0, 0)
    await turns()
    offer(1, 0)
    const closed = delivery.close()
    first.resolve()
    await closed
    await turns()
    expect(seen).toEqual([0])
  })
})
