import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { createKafkaBed, type KafkaBed } from './kafka-bed.ts'
import { waitFor } from './stack.ts'

const beds: KafkaBed[] = []
const children: ChildProcess[] = []
const warnings: string[] = []

function noteWarning({ name }: Error): void {
  warnings.push(name)
}

beforeAll(() => {
  process.on('warning', noteWarning)
})

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

afterAll(async () => {
  await Promise.all(beds.map(async (bed) => await bed.stop()))
  process.off('warning', noteWarning)
})

async function makeBed(partitions: number): Promise<KafkaBed> {
  const bed = await createKafkaBed(inject('servers').brokers, { partitions })
  beds.push(bed)
  return bed
}

/** Keeps writing numbers to all partitions until stopped; gives how many went to each. */
function writeSteadily(bed: KafkaBed, partitions: number): { stop(): Promise<number> } {
  let running = true
  let rounds = 0
  const done = (async () => {
    while (running) {
      const all = Array.from({ length: partitions }, (_, partition) =>
        bed.write(partition, [String(rounds)]),
      )
      await Promise.all(all)
      rounds++
    }
    return rounds
  })()
  return {
    async stop() {
      running = false
      return await done
    },
  }
}

type Reader = { events: string[]; signal(signal: NodeJS.Signals): void }

/** A member in a process of its own, to be stopped and continued. */
function spawnReader(bed: KafkaBed, sessionTimeoutMs: number, soleName?: string): Reader {
  const program = new URL('./kafka-reader.ts', import.meta.url).pathname
  const child = spawn(
    process.execPath,
    [program, bed.brokers, bed.topic, String(sessionTimeoutMs), ...(soleName ? [soleName] : [])],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  children.push(child)
  const events: string[] = []
  createInterface(child.stdout).on('line', (line) => events.push(line))
  return { events, signal: (signal) => child.kill(signal) }
}

describe('a consumer group', () => {
  test('a second member takes half; what the first keeps goes on without a gap or a pause', async () => {
    const bed = await makeBed(4)
    const writing = writeSteadily(bed, 4)
    const first = bed.consumer()
    await first.start()
    await waitFor(() => first.owned.size === 4 && first.records.length > 50, { what: 'the first' })
    const second = bed.consumer(
      {},
      {
        onAssigned: async (added) => new Map(added.map((p) => [p, first.next.get(p) ?? 0])),
      },
    )
    await second.start()
    await waitFor(() => second.owned.size === 2 && second.records.length > 20, { what: 'both' })
    expect(first.owned.size).toBe(2)
    // Nothing was revoked but what went, and nothing was assigned anew.
    expect(first.events.filter((event) => event.startsWith('revoked'))).toHaveLength(1)
    expect(first.events.filter((event) => event !== 'assigned ')).toHaveLength(2)
    const rounds = await writing.stop()
    for (const partition of [...first.owned, ...second.owned]) {
      const owner = first.owned.has(partition) ? first : second
      await waitFor(() => owner.next.get(partition) === rounds, { what: `partition ${partition}` })
    }
    for (const partition of first.owned) {
      const numbers = first.values(partition).map(Number)
      expect(numbers).toEqual(Array.from({ length: rounds }, (_, i) => i))
    }
  })

  test('who stops leaves: the other takes over at once, not after the session', async () => {
    const bed = await makeBed(2)
    const long = { sessionTimeoutMs: 30_000, heartbeatIntervalMs: 200, rebalanceTimeoutMs: 30_000 }
    const first = bed.consumer(long)
    const second = bed.consumer(long)
    await Promise.all([first.start(), second.start()])
    await waitFor(() => first.owned.size === 1 && second.owned.size === 1, { what: 'one each' })
    const begunMs = performance.now()
    await first.stop()
    expect(performance.now() - begunMs).toBeLessThan(3_000)
    await waitFor(() => second.owned.size === 2, { what: 'the take-over', timeoutMs: 5_000 })
  })

  test('who stops while others are still joining leaves, too', async () => {
    const bed = await makeBed(2)
    const slow = {
      sessionTimeoutMs: 30_000,
      heartbeatIntervalMs: 8_000,
      rebalanceTimeoutMs: 30_000,
    }
    const first = bed.consumer(slow)
    await first.start()
    await waitFor(() => first.owned.size === 2, { what: 'the first' })
    // The first hears of the rebalance with its next heartbeat only: the second waits in its join.
    const second = bed.consumer(slow)
    await second.start()
    await new Promise((resolve) => setImmediate(resolve))
    const begunMs = performance.now()
    await second.stop()
    expect(performance.now() - begunMs).toBeLessThan(3_500)
    expect(second.events).toEqual([])
  })

  test('a batch that is worked on longer than the session does not cost the membership', async () => {
    const bed = await makeBed(2)
    const release = Promise.withResolvers<void>()
    const short = { sessionTimeoutMs: 1_500, heartbeatIntervalMs: 300 }
    const consumer = bed.consumer(short, {
      onBatch: async ({ partition }) => {
        if (partition === 0) await release.promise
      },
    })
    await consumer.start()
    await bed.write(0, ['slow'])
    await waitFor(() => consumer.values(0).length === 1, { what: 'the slow batch' })
    const begunMs = performance.now()
    let written = 0
    while (performance.now() - begunMs < 3_000) {
      await bed.write(1, [String(written++)])
      await waitFor(() => consumer.values(1).length === written, { what: 'the other partition' })
    }
    await bed.write(0, ['next'])
    expect(consumer.values(0)).toEqual(['slow'])
    release.resolve()
    await waitFor(() => consumer.values(0).length === 2, { what: 'the next batch' })
    expect(consumer.events).toEqual(['assigned 0,1'])
  })

  test('one partition that stands still does not slow the others down', async () => {
    const bed = await makeBed(2)
    const release = Promise.withResolvers<void>()
    const consumer = bed.consumer(
      {},
      {
        onBatch: async ({ partition }) => {
          if (partition === 0) await release.promise
        },
      },
    )
    await consumer.start()
    await bed.write(0, ['a'])
    await waitFor(() => consumer.values(0).length === 1, { what: 'partition 0' })
    await bed.write(0, ['b'])
    const times: number[] = []
    for (let i = 0; i < 20; i++) {
      const begunMs = performance.now()
      await bed.write(1, [String(i)])
      await waitFor(() => consumer.values(1).length === i + 1, { what: 'partition 1' })
      times.push(performance.now() - begunMs)
    }
    release.resolve()
    expect(times.toSorted((a, b) => a - b)[10]).toBeLessThan(400)
  })

  test('a process that is stopped past its session is no member when it goes on', async () => {
    const bed = await makeBed(2)
    const zombie = spawnReader(bed, 2_000)
    await waitFor(() => zombie.events.includes('assigned 0,1'), { what: 'the member' })
    await bed.write(0, ['before'])
    await waitFor(() => zombie.events.includes('batch 0 before'), { what: 'its first batch' })
    const heir = bed.consumer({ sessionTimeoutMs: 2_000, heartbeatIntervalMs: 400 })
    zombie.signal('SIGSTOP')
    await heir.start()
    await waitFor(() => heir.owned.size === 2, { what: 'the heir', timeoutMs: 12_000 })
    await bed.write(0, ['after'])
    await bed.write(1, ['after'])
    await waitFor(() => heir.values().filter((value) => value === 'after').length === 2, {
      what: 'what came after',
    })
    const seen = zombie.events.length
    zombie.signal('SIGCONT')
    await waitFor(() => zombie.events.slice(seen).includes('revoked 0,1'), {
      what: 'the end of it',
    })
    expect(zombie.events.slice(seen, zombie.events.indexOf('revoked 0,1'))).toEqual([])
    await waitFor(() => zombie.events.filter((e) => /^assigned [01]$/.test(e)).length === 1, {
      what: 'its return',
    })
  })

  test('who comes back in its own place does not wait for the session of its earlier life', async () => {
    const bed = await makeBed(2)
    const long = { sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000 }
    const other = bed.consumer(long)
    await other.start()
    const killed = spawnReader(bed, 30_000, 'its place')
    const hasOne = ({ events }: Reader): boolean => events.some((e) => /^assigned [01]$/.test(e))
    await waitFor(() => hasOne(killed), { what: 'one each' })
    killed.signal('SIGKILL')
    const successor = spawnReader(bed, 30_000, 'its place')
    await waitFor(() => hasOne(successor), { what: 'its return', timeoutMs: 10_000 })
    // Whoever has another name stays what it is.
    expect(other.events.filter((event) => event.startsWith('revoked'))).toHaveLength(1)
  })

  test('added partitions are dealt and read', async () => {
    const bed = await makeBed(1)
    const consumer = bed.consumer()
    await consumer.start()
    await waitFor(() => consumer.owned.size === 1, { what: 'the first partition' })
    await bed.admin.addPartitions(bed.topic, 3)
    await waitFor(() => consumer.owned.size === 3, { what: 'all three' })
    await bed.write(2, ['new'])
    await waitFor(() => consumer.values(2).length === 1, { what: 'the new partition' })
    expect(consumer.events).toEqual(['assigned 0', 'assigned 1,2'])
  })

  test('onAssigned that fails is tried again, and what fails in onBatch stops its partition', async () => {
    const bed = await makeBed(2)
    let tries = 0
    const consumer = bed.consumer(
      {},
      {
        async onAssigned(added) {
          tries++
          if (tries < 3) throw new Error('not yet')
          return new Map(added.map((partition) => [partition, 0]))
        },
        async onBatch({ partition }) {
          if (partition === 0) throw new Error('broken')
        },
      },
    )
    await consumer.start()
    await bed.write(0, ['a'])
    await bed.write(0, ['b'])
    await bed.write(1, ['c'])
    await waitFor(() => consumer.values(1).length === 1, { what: 'partition 1' })
    await bed.write(1, ['d'])
    await waitFor(() => consumer.values(1).length === 2, { what: 'partition 1' })
    expect(tries).toBe(3)
    expect(consumer.values(0).length).toBeLessThanOrEqual(2)
    const before = consumer.batches.filter(({ partition }) => partition === 0).length
    expect(before).toBe(1)
    consumer.resume(0, 0)
    await waitFor(() => consumer.batches.filter(({ partition }) => partition === 0).length === 2, {
      what: 'another try',
    })
  })

  test('none of this made Node warn of negative time-outs', () => {
    expect(warnings.filter((name) => name === 'TimeoutNegativeWarning')).toEqual([])
  })

  test('stop before start, twice, and start after stop do no harm', async () => {
    const bed = await makeBed(1)
    const consumer = bed.consumer()
    await consumer.stop()
    await consumer.stop()
    await consumer.start()
    expect(consumer.events).toEqual([])
  })
})
