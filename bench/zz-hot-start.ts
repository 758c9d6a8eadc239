import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomFillSync } from 'node:crypto'
import { processEnvironment } from '@countersink/local/config'
import { startPostgres } from '@countersink/local/own-servers'
import { createLogger } from '@countersink/shared/log'
import { migrate } from '@countersink/shared/postgres/migrate'
import { createPool } from '@countersink/shared/postgres/pool'
import { parseContracts } from '@countersink/shared/contracts'
import { hashKeyOf } from '@countersink/aggregator/core/keyed-hash'
import { RoutingVersions } from '@countersink/aggregator/core/placement'
import { CounterIds } from '@countersink/aggregator/postgres/counter-ids'
import { loadPartition } from '@countersink/aggregator/postgres/load'

const IDS = Number(process.argv[2] ?? 10e6)
const PER_COMMIT = Number(process.argv[3] ?? 10000)
const P = 8
const dir = await mkdtemp(join(tmpdir(), 'hot-'))
const server = await startPostgres({ dir, environment: processEnvironment() })
const logger = createLogger('bench', 'silent')
try {
  await migrate(server.databaseUrl(), logger)
  const pool = createPool({
    databaseUrl: server.databaseUrl(),
    applicationName: 'x',
    connectionsMax: Number(process.argv[4] ?? 4),
    statementTimeoutMs: 60000,
    logger,
  })
  const s = 'countersink_1'
  await pool.query(`insert into ${s}.counters (name) values ('views')`)
  const clock = 1_700_000_000_000
  const commits = Math.round(IDS / P / PER_COMMIT)
  for (let p = 0; p < P; p++) {
    await pool.query(
      `insert into ${s}.partition_counters (partition, counter, ordinal, clock) values ($1, 1, 0, $2)`,
      [p, clock],
    )
    for (let c = 0; c < commits; c++) {
      const b = Buffer.alloc(4 + 16 + PER_COMMIT * 16)
      b.writeInt32LE(-(2 ** 31), 0)
      b.writeInt32LE(1, 4)
      const bucketMs = 3 * 3600_000
      b.writeBigInt64LE(
        BigInt((Math.floor(clock / bucketMs) - 7 + Math.floor((c * 8) / commits)) * bucketMs),
        8,
      )
      b.writeUInt32LE(PER_COMMIT, 16)
      randomFillSync(b, 20)
      await pool.query(
        `insert into ${s}.commits (partition, first, next, read, applied, duplicate, conflict, late, invalid, clocks, ids, outcomes) values ($1,$2,$3,0,0,0,0,0,0,'{}',$4,'')`,
        [p, c * PER_COMMIT, (c + 1) * PER_COMMIT, b],
      )
    }
  }
  await pool.query('analyze')
  const contracts = parseContracts('')
  for (let rep = 0; rep < 3; rep++) {
    const counterIds = new CounterIds(s)
    const t0 = performance.now(),
      c0 = process.cpuUsage()
    let worst = 0,
      last = performance.now()
    const timer = setInterval(() => {
      const now = performance.now()
      worst = Math.max(worst, now - last - 1)
      last = now
    }, 1)
    const states = await Promise.all(
      Array.from({ length: P }, async (_, partition) => {
        const client = await pool.connect()
        try {
          const next = commits * PER_COMMIT
          return await loadPartition(client, {
            schema: s,
            claimed: {
              partition,
              next,
              floor: next,
              idsFloor: 0,
              revision: 0,
              appendMax: clock,
              record: undefined,
              halted: undefined,
            } as never,
            routing: RoutingVersions.fixed(P),
            hashKey: hashKeyOf(Buffer.alloc(16, 7)),
            contracts,
            counterIds,
            signal: new AbortController().signal,
          })
        } finally {
          client.release()
        }
      }),
    )
    clearInterval(timer)
    const cpu = process.cpuUsage(c0)
    const ids = states.reduce((n, x) => n + x.ids.hashed.size, 0)
    console.log(
      'loaded',
      ids,
      'ids in',
      Math.round(performance.now() - t0),
      'ms, cpu',
      Math.round((cpu.user + cpu.system) / 1000),
      'ms, longest pause',
      Math.round(worst),
      'bytes/id',
      (states.reduce((n, x) => n + x.ids.hashed.byteLength, 0) / ids).toFixed(2),
      'rss MB',
      Math.round(process.memoryUsage().rss / 1e6),
    )
  }
  await pool.end()
} finally {
  await server.stop()
  await rm(dir, { recursive: true, force: true })
}
