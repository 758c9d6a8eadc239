import { messageOf } from '@countersink/shared/errors'
import type { Logger } from '@countersink/shared/log'
import { sessionConfig } from '@countersink/shared/postgres/session'
import pg from 'pg'
import type { Applied, PolledPartition } from '../core/tail-state.ts'
import { PLANS } from './database.ts'
import { load, type Loaded } from './load-query.ts'
import { poll } from './poll-query.ts'
import { readDealtSlots, type DealtSlot } from './series-query.ts'
import { Waiters } from './waiters.ts'
import { createWorld, type World, type WorldLimits } from './world.ts'

export type TailMetrics = {
  polled(seconds: number): void
  reloaded(reason: string): void
  /** The database went back behind what was answered. */
  restored(): void
}

export type TailOptions = {
  databaseUrl: string
  topic: string
  /** Between the end of a poll and the next while commits come in. */
  pollIntervalMs: number
  /** The same when nothing has come for a while. */
  pollIntervalMsMax: number
  limits: WorldLimits
  metrics: TailMetrics
  logger: Logger
  /** A world is there to be read: the first one, or one more after any doubt. */
  onLoaded(generation: number): void
}

export type Tail = {
  start(): void
  stop(): Promise<void>
  /** Undefined while it is being loaded. */
  world(): World | undefined
  /** The world as soon as it meets the condition; TIMED_OUT at the deadline. */
  until(met: (world: World) => boolean, deadline: number, what: string): Promise<World>
  /** Milliseconds since the last poll that succeeded. */
  stillForMs(): number
}

const QUERY_TIMEOUT_MS = 5_000
const STILL_ACTIVE_MS = 1_000
const POLL_INTERVAL_GROWTH = 1.2
const POLL_INTERVAL_MS_MIN = 2
const RECONNECT_MS_MIN = 100
const RECONNECT_MS_MAX = 2_000
/** A chain that is broken again right after it was loaded is asked for less often. */
const RELOAD_PAUSE_MS = 500

/**
 * Follows the commit log of the live generation on a connection of its own. Any doubt (a lost
 * connection, a gap, a position that went back, another live generation) drops all that is known
 * and loads it again; until that has caught up, `world()` is undefined and reads wait.
 */
export function createTail(options: TailOptions): Tail {
  const { logger, metrics } = options
  const waiters = new Waiters<World>()
  const stopping = new AbortController()
  let running: Promise<void> | undefined
  let current: World | undefined
  /** The positions answers may have shown: no later world shows less, unless the database was restored. */
  let shown = new Map<number, number>()
  let polledAt = Date.now()
  let wake = (): void => {}
  /** Somebody waits for more than the poll under way may bring. */
  let wanted = false
  let reconnectMs = RECONNECT_MS_MIN

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const client = new pg.Client(
        sessionConfig(options.databaseUrl, {
          application_name: 'countersink-query-api tail',
          connectionTimeoutMillis: QUERY_TIMEOUT_MS,
          query_timeout: QUERY_TIMEOUT_MS,
          statement_timeout: QUERY_TIMEOUT_MS,
          keepAlive: true,
          settings: PLANS,
        }),
      )
      client.on('error', (error) => logger.warn({ err: error }, 'the connection of the tail broke'))
      try {
        await client.connect()
        while (!stopping.signal.aborted) await follow(client)
      } catch (error) {
        if (stopping.signal.aborted) break
        logger.warn({ err: error }, `the tail stands still: ${messageOf(error)}`)
        metrics.reloaded('connection')
      } finally {
        drop()
        await client.end().catch(() => {})
      }
      await pause(reconnectMs * (0.5 + Math.random()), true)
      reconnectMs = Math.min(RECONNECT_MS_MAX, reconnectMs * 2)
    }
  }

  /** Loads a world and follows it until it has to be loaded again. */
  async function follow(client: pg.Client): Promise<void> {
    const began = Date.now()
    const loaded = await load(client)
    if (loaded === undefined) throw new Error('no generation is live')
    const world = createWorld(loaded, options.topic, options.limits)
    const reason = await followWorld(client, world, loaded)
    if (reason === undefined) return
    drop()
    logger.info({ reason, generation: loaded.generation }, 'the tail is loaded again')
    metrics.reloaded(reason)
    if (Date.now() - began < RELOAD_PAUSE_MS) await pause(RELOAD_PAUSE_MS, true)
  }

  async function followWorld(
    client: pg.Client,
    world: World,
    loaded: Loaded,
  ): Promise<string | undefined> {
    // It is planned before anybody waits for what it brings.
    await readDealtSlots(client, loaded.generation, [])
    let movedAt = Date.now()
    let intervalMs = options.pollIntervalMs
    while (!stopping.signal.aborted) {
      const began = performance.now()
      wanted = false
      const { generation, partitions } = await poll(
        client,
        loaded.generation,
        world.state.positions(),
      )
      if (generation !== loaded.generation) return 'generation'
      const news = await readNews(client, world, partitions)
      const applied = takeIn(world, partitions, news)
      if (applied.kind === 'reload') return applied.reason
      polledAt = Date.now()
      reconnectMs = RECONNECT_MS_MIN
      metrics.polled((performance.now() - began) / 1000)
      if (current === undefined && hasCaughtUp(world, loaded)) show(world, loaded)
      if (current !== undefined) waiters.tell(current)
      if (applied.behind) continue
      if (applied.moved) movedAt = polledAt
      const active = polledAt - movedAt < STILL_ACTIVE_MS || waiters.size > 0
      intervalMs = active
        ? options.pollIntervalMs
        : Math.min(options.pollIntervalMsMax, intervalMs * POLL_INTERVAL_GROWTH)
      await pause(intervalMs)
    }
    return undefined
  }

  function show(world: World, loaded: Loaded): void {
    const back = loaded.partitions.filter((p) => p.next < (shown.get(p.partition) ?? 0))
    const lost = [...shown.keys()].filter((partition) => !world.state.has(partition))
    if (back.length > 0 || lost.length > 0) {
      const partitions = [...back.map((p) => p.partition), ...lost]
      logger.error(
        { partitions },
        'the database is older than what was answered from it: restored?',
      )
      metrics.restored()
    }
    current = world
    options.onLoaded(loaded.generation)
  }

  function drop(): void {
    if (current !== undefined) shown = current.state.positions()
    current = undefined
  }

  /** Until the time is over or, unless it must be kept, somebody wants a poll. */
  function pause(ms: number, keep = false): Promise<void> {
    if (stopping.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wanted && !keep ? Math.min(ms, POLL_INTERVAL_MS_MIN) : ms)
      wake = () => {
        if (keep && !stopping.signal.aborted) return
        clearTimeout(timer)
        resolve()
      }
    })
  }

  return {
    start() {
      if (!stopping.signal.aborted) running ??= run()
    },
    async stop() {
      stopping.abort()
      wake()
      await running
    },
    world: () => current,
    async until(met, deadline, what) {
      if (current !== undefined && met(current)) return current
      wanted = true
      wake()
      return waiters.wait(met, deadline, what)
    },
    stillForMs: () => Date.now() - polledAt,
  }
}

/** More new series at once than this are not told one by one: look-ups are forgotten instead. */
const NEW_SERIES_MAX = 20_000

/** Which slots the poll's deltas are the first of: read before anybody sees those. */
async function readNews(
  client: pg.Client,
  { state, series }: World,
  partitions: readonly PolledPartition[],
): Promise<DealtSlot[] | 'too-many'> {
  const slots = state.newSlots(partitions)
  if (slots.length === 0 || series.size === 0) return []
  const count = slots.reduce((sum, { above, upTo }) => sum + upTo - above, 0)
  return count > NEW_SERIES_MAX ? 'too-many' : readDealtSlots(client, state.generation, slots)
}

/** In one turn: the deltas, and where the series are that they belong to. */
function takeIn(
  { state, series }: World,
  partitions: readonly PolledPartition[],
  news: readonly DealtSlot[] | 'too-many',
): Applied {
  const missed = state.seriesMissed
  const applied = state.apply(partitions)
  if (news === 'too-many' || state.seriesMissed !== missed) series.forget()
  else for (const { series: name, slot } of news) series.dealt(name, slot)
  return applied
}

function hasCaughtUp(world: World, loaded: Loaded): boolean {
  return loaded.partitions.every(({ partition, next }) => world.state.next(partition) >= next)
}
