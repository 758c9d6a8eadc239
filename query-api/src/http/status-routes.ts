import { formatPosition } from '@countersink/shared/position'
import type { FastifyInstance } from 'fastify'
import type { LogEnds } from '../core/log-ends.ts'
import { readOutcomePage } from '../postgres/outcomes-query.ts'
import { readPartitions, type PartitionRow } from '../postgres/status-query.ts'
import { badQuery, queryOf, RequestFault, wholeNumber } from './request-fields.ts'
import { worldFor, type RouteContext } from './route-context.ts'

/** A partition this far behind is still live: at rest it is a moment, under load a batch or two. */
const LIVE_LAG_MS_MAX = 5_000

/** How the partitions stand, and what became of the events of one. */
export function addStatusRoutes(app: FastifyInstance, context: RouteContext): void {
  const { database, ends } = context

  app.get('/v1/status', async (request) => {
    const query = queryOf(request, ['after'])
    const world = await worldFor(context, query)
    // The ends first: what is counted afterwards is at least what these ends ask for.
    const seen = await ends.lately()
    const { generation } = world.state
    const rows = await readPartitions(database, generation)
    const now = Date.now()
    const counted = new Set(rows.map(({ partition }) => partition))
    const uncounted = seen.partitions.filter((partition) => !counted.has(partition))
    const partitions = [
      ...rows.map((row) => shownPartition(row, seen, now)),
      ...uncounted.map((partition) => shownPartition(neverCounted(partition), seen, now)),
    ]
    return {
      generation,
      topic: world.topic,
      position: formatPosition({
        topic: world.topic,
        generation,
        next: new Map(rows.map(({ partition, next }) => [partition, Number(next)])),
      }),
      partitions: partitions.toSorted((a, b) => a.partition - b.partition),
    }
  })

  app.get<{ Params: { partition: string } }>(
    '/v1/partitions/:partition/outcomes',
    async (request) => {
      const query = queryOf(request, ['after', 'from', 'to'])
      const partition = wholeNumber(request.params.partition)
      const from = wholeNumber(query.get('from'))
      const to = wholeNumber(query.get('to'))
      if (partition === undefined || partition > PARTITION_MAX) throw unknownPartition()
      if (from === undefined || to === undefined || from > to) {
        throw badQuery('from and to must be offsets, and from not after to')
      }
      const world = await worldFor(context, query)
      const { generation } = world.state
      const page = await readOutcomePage(database, generation, partition, from, to)
      if (page === undefined) throw unknownPartition()
      return {
        partition,
        // Events of the offsets from `from` up to here that are not listed were applied.
        next: page.readTo,
        counted: page.next,
        outcomes: page.outcomes.map(({ offset, index, outcome }) => [offset, index, outcome]),
        gaps: page.gaps,
      }
    },
  )
}

const PARTITION_MAX = 2 ** 31 - 1

function unknownPartition(): RequestFault {
  const detail = 'nothing of this partition has been counted'
  return new RequestFault({ status: 404, code: 'unknown-partition', detail })
}

type ShownPartition = {
  partition: number
  next: number
  end: number | null
  lag: number | null
  lagMs: number | null
  state: 'live' | 'catching-up' | 'halted'
  halted?: string
  [count: string]: unknown
}

/**
 * `end` is the last one seen, `lag` null when it has not been seen lately (Kafka is away). Live is
 * a partition that has an owner and is not far behind; one without an owner is catching up.
 */
function shownPartition(row: PartitionRow, seen: LogEnds, now: number): ShownPartition {
  const { partition, halted, owned } = row
  const next = Number(row.next)
  const seenEnd = seen.end(partition)
  // What is counted was in the log: an end that was seen before it is an old one.
  const end = seenEnd === undefined ? undefined : Math.max(seenEnd, next)
  const lagMs = seen.lagMs(partition, next, Number(row.append_max), now)
  const behind = lagMs === undefined ? (end ?? 0) > next : lagMs > LIVE_LAG_MS_MAX
  return {
    partition,
    next,
    end: end ?? null,
    lag: end === undefined || lagMs === undefined ? null : Math.max(0, end - next),
    lagMs: lagMs ?? null,
    state: halted !== null ? 'halted' : owned && !behind ? 'live' : 'catching-up',
    ...(halted !== null && { halted }),
    read: row.read,
    applied: row.applied,
    duplicate: row.duplicate,
    conflict: row.conflict,
    late: row.late,
    invalid: row.invalid,
    misrouted: row.misrouted,
  }
}

function neverCounted(partition: number): PartitionRow {
  const none = '0'
  const counts = { read: none, applied: none, duplicate: none, conflict: none, late: none }
  return {
    partition,
    next: none,
    floor: none,
    append_max: none,
    halted: null,
    owned: false,
    ...counts,
    invalid: none,
    misrouted: none,
  }
}
