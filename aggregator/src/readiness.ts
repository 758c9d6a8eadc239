import type { Consumer } from '@countersink/shared/kafka/consumer'
import type { Committer } from './committer.ts'
import { LIMITS } from './limits.ts'
import type { Ownership } from './ownership.ts'
import type { WriterConnection } from './writer-connection.ts'

type Readiness = { ready: boolean; checks: Record<string, string> }

/** Ready means: the work can go on. What stands still says why. */
export function readiness(
  ownership: Ownership,
  connection: WriterConnection,
  consumer: Consumer,
  committer: Committer,
): Readiness {
  const stallMs = Date.now() - consumer.lastFetchAt()
  const owned = ownership.all()
  const halted = owned.filter((one) => one.halted !== undefined)
  const loading = owned.filter(
    ({ state, halted: reason }) => state === undefined && reason === undefined,
  )
  // Without a partition to fetch there is still the group, whose coordinator has to answer.
  const silentMs = owned.length === halted.length ? silenceMs(consumer) : stallMs
  const isFetching = silentMs < LIMITS.fetchStallMsMax
  const checks = {
    kafka: isFetching ? 'ok' : 'no fetch has succeeded lately',
    postgres: connection.isConnected() || owned.length === 0 ? 'ok' : 'not connected',
    commits:
      committer.failingForMs() < LIMITS.commitStallMsMax ? 'ok' : 'none has succeeded lately',
    partitions: loading.length === 0 ? 'ok' : `${loading.length} are being loaded`,
    halted:
      halted.length === 0
        ? 'ok'
        : halted
            .map(({ partition, halted: reason }) => `partition ${partition}: ${reason}`)
            .join('; '),
  }
  return { ready: Object.values(checks).every((check) => check === 'ok'), checks }
}

function silenceMs(consumer: Consumer): number {
  return performance.now() - consumer.lastContactAt()
}
