import { ensureTopic, withAdmin } from '@countersink/local/topic'
import { metricOf } from '../bench/metrics.ts'
import { createLogWriter, type LogWriter, type WrittenEvent } from './log-writer.ts'
import type { OracleEvent } from './oracle/oracle.ts'
import {
  createTestBed,
  type OwnServers,
  type ServiceHandle,
  type TestBed,
  waitFor,
} from './stack.ts'
import { createTally, type Tally } from './tally.ts'

export const PARTITIONS = 3
const HOUR_MS = 3_600_000
const CONTRACTS = 'defaults: { lateness: 24h, windows: [1m, 1h], breakdowns: [[country]] }'

/** A killed aggregator is soon given up, and its successor need not wait for it at a rebalance. */
const QUICK_GROUP = {
  COUNTERSINK_SESSION_TIMEOUT_MS: '1500',
  COUNTERSINK_REBALANCE_TIMEOUT_MS: '1500',
}

/** A test bed whose log loses something, and what an operator sees of it and does about it. */
export type GapBed = TestBed & {
  tally: Tally
  /** Makes further events; retries of earlier ones are among them. */
  events(count: number): OracleEvent[]
  /** Appends events and does not tell the oracle. */
  append(events: readonly OracleEvent[]): Promise<WrittenEvent[]>
  /** Appends further events and tells the oracle. */
  write(count: number): Promise<WrittenEvent[]>
  /** The stored offset of a partition. */
  next(partition: number): Promise<number>
  /** As retention does: all before the offset goes. */
  deleteBefore(partition: number, offset: number): Promise<void>
  /** Another topic of the same name. */
  makeTopicAgain(): Promise<void>
  /** Waits until a partition stands still, and gives the reason that everybody is told. */
  halted(aggregator: ServiceHandle, partition: number): Promise<string>
  /** Decides that a halted partition goes on at `to`, and waits until it does. */
  decide(aggregator: ServiceHandle, partition: number, to: number): Promise<void>
}

export async function createGapBed(
  env: Record<string, string> = {},
  servers?: OwnServers,
): Promise<GapBed> {
  const bed = await createTestBed({
    partitions: PARTITIONS,
    contractsYaml: CONTRACTS,
    env: { ...QUICK_GROUP, ...env },
    ...(servers && { servers }),
  })
  const brokers = bed.brokers.split(',')
  const contract = { latenessMs: 24 * HOUR_MS, windowSizesMs: [60_000, HOUR_MS] }
  const tally = createTally(bed, { ...contract, breakdowns: [['country']] })
  let writer: LogWriter = await createLogWriter(bed.brokers, bed.topic)
  let made = 0

  function events(count: number): OracleEvent[] {
    const from = made
    made += count
    return Array.from({ length: count }, (_, i) => eventNumber(from + i))
  }

  async function append(some: readonly OracleEvent[]): Promise<WrittenEvent[]> {
    return await writer.write(some)
  }

  return {
    ...bed,
    tally,
    events,
    append,
    async write(count) {
      const written = await append(events(count))
      tally.add(written)
      return written
    },
    async next(partition) {
      return (await tally.offsets()).get(partition) ?? 0
    },
    async deleteBefore(partition, offset) {
      const before = new Map([[partition, offset]])
      await withAdmin(brokers, async (admin) => await admin.deleteRecords(bed.topic, before))
    },
    async makeTopicAgain() {
      await writer.stop()
      await withAdmin(brokers, async (admin) => await admin.deleteTopic(bed.topic))
      await ensureTopic(brokers, bed.topic, PARTITIONS)
      // The old producer would go on with the sequence numbers of the old log.
      writer = await createLogWriter(bed.brokers, bed.topic)
    },
    halted: async (aggregator, partition) => await untilHalted(bed, aggregator, partition),
    decide: async (aggregator, partition, to) => await decide(bed, aggregator, partition, to),
    async stop() {
      await writer.stop()
      await bed.stop()
    },
  }
}

/** One event in four repeats an earlier one, far back as well. */
function eventNumber(n: number): OracleEvent {
  const origin = n % 4 === 3 ? Math.floor(n / 2) : n
  return {
    id: `e${origin}`,
    counter: 'views',
    key: `k${(origin * 7919) % 90}`,
    delta: (origin % 9) + 1,
    at: BASE_MS + ((origin * 31_337) % HOUR_MS),
    dims: { country: origin % 2 === 0 ? 'de' : 'fr' },
  }
}

const BASE_MS = Date.now() - HOUR_MS

type HaltedRow = { halted: string | null }

async function haltOf(bed: TestBed, partition: number): Promise<string | null> {
  const [row] = await bed.sql<HaltedRow>(
    'select halted from countersink_1.partitions where partition = $1',
    [partition],
  )
  return row?.halted ?? null
}

async function untilHalted(
  bed: TestBed,
  aggregator: ServiceHandle,
  partition: number,
): Promise<string> {
  const reason = await waitFor(async () => (await haltOf(bed, partition)) ?? '', {
    what: `partition ${partition} to halt`,
  })
  await waitFor(
    async () => {
      const response = await fetch(`${aggregator.url}/readyz`)
      const body = await response.text()
      return response.status === 503 && body.includes(`partition ${partition}: ${reason}`)
    },
    { what: `/readyz to say why: ${reason}` },
  )
  const halted = await metricOf(aggregator, 'countersink_partitions_halted')
  const lines = (await aggregator.logs()).split('\n')
  const isLogged = lines.some((line) => line.includes('partition halted') && line.includes(reason))
  if (halted !== 1 || !isLogged) throw new Error(`metric ${halted}, logged: ${isLogged}`)
  return reason
}

async function decide(
  bed: TestBed,
  aggregator: ServiceHandle,
  partition: number,
  to: number,
): Promise<void> {
  await bed.sql('insert into countersink_1.gap_decisions (partition, to_offset) values ($1, $2)', [
    partition,
    to,
  ])
  await waitFor(async () => (await fetch(`${aggregator.url}/readyz`)).status === 200, {
    what: `partition ${partition} to go on at ${to}`,
  })
  if ((await haltOf(bed, partition)) !== null) throw new Error('it is ready and halted')
}

/** Waits until all that was written is counted but in one partition: healthy ones must go on. */
export async function untilOthersReach(
  tally: Pick<Tally, 'offsets'>,
  except: number,
  written: readonly WrittenEvent[],
): Promise<void> {
  const others = written.filter(({ partition }) => partition !== except)
  const ends = new Map(others.map(({ partition, offset }) => [partition, offset + 1]))
  await waitFor(
    async () => {
      const offsets = await tally.offsets()
      return [...ends].every(([partition, end]) => (offsets.get(partition) ?? 0) >= end)
    },
    { what: 'the other partitions to go on' },
  )
}
