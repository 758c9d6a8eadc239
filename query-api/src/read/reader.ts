import { CountersinkError } from '@countersink/shared/errors'
import type { Position } from '@countersink/shared/position'
import type { Database } from '../postgres/database.ts'
import type { Tail } from '../postgres/tail.ts'
import type { World } from '../postgres/world.ts'

export type ReaderMetrics = {
  pagesHit(count: number): void
  pagesRead(count: number): void
  /** Sums that the server had to make because the tail had given up deltas above the floor. */
  dearRead(): void
  triedAgain(): void
}

/** What every read works with. */
export type ReadContext = {
  database: Database
  tail: Tail
  metrics: ReaderMetrics
}

/** A read that met a reload or deltas let go starts over; so often at most. */
const ATTEMPTS_MAX = 20
const LOADING = 'the commit log is being loaded'
const NOT_YET = 'the position asked for is not counted yet'

/**
 * The world as soon as it covers `after`. Throws POSITION_INVALID for a position of another topic,
 * TIMED_OUT at the deadline (epoch milliseconds).
 */
export async function worldAfter(
  tail: Tail,
  after: Position | undefined,
  deadline: number,
): Promise<World> {
  const world = tail.world() ?? (await tail.until(() => true, deadline, LOADING))
  if (after === undefined) return world
  if (after.topic !== world.topic) {
    throw new CountersinkError('POSITION_INVALID', 'the position is of a topic that is not served')
  }
  const wanted = [...after.next]
  return tail.until(
    ({ state }) => wanted.every(([partition, next]) => state.next(partition) >= next),
    deadline,
    NOT_YET,
  )
}

/** What a read is asked for beyond its subject. */
export type ReadBounds = {
  /** The answer must not be older. */
  after: Position | undefined
  /** Epoch milliseconds. */
  deadline: number
}

/**
 * Makes a read, as often as it says 'again', each time with the world of that moment: after a
 * restore that may be one that does not cover `after` any more.
 */
export async function attempt<T>(
  context: ReadContext,
  { after, deadline }: ReadBounds,
  read: (world: World) => Promise<T | 'again'>,
): Promise<T> {
  const { tail, metrics } = context
  for (let i = 0; i < ATTEMPTS_MAX && (i === 0 || Date.now() < deadline); i++) {
    const world = await worldAfter(tail, after, deadline)
    const result = await read(world)
    if (result !== 'again') return result
    metrics.triedAgain()
  }
  throw new CountersinkError('TIMED_OUT', 'the data changed too quickly under this read', {
    retryable: true,
  })
}

export type Computed<T> =
  { kind: 'done'; value: T } | { kind: 'wait'; partition: number; next: number } | { kind: 'stale' }

/**
 * What a computation gives as soon as the tail has reached what it needs; 'again' when the world
 * is another one meanwhile, or what was read is of no use any more.
 */
export async function whenReached<T>(
  tail: Tail,
  world: World,
  deadline: number,
  compute: () => Computed<T>,
): Promise<T | 'again'> {
  while (tail.world() === world) {
    const computed = compute()
    if (computed.kind === 'done') return computed.value
    if (computed.kind === 'stale') return 'again'
    const { partition, next } = computed
    await tail.until((w) => w !== world || w.state.next(partition) >= next, deadline, NOT_YET)
  }
  return 'again'
}
