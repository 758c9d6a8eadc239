import { readdirSync } from 'node:fs'
import { CONTRACT_LIMITS } from '@countersink/shared/contracts'
import { CountersinkError, messageOf } from '@countersink/shared/errors'
import { optionalSetting, type Settings } from './config.ts'
import { liveSchema, type Query, withDatabase } from './database.ts'
import type { Check } from './doctor.ts'
import { OWNER_SEEN_S_MAX } from './gap.ts'
import { plural, spoken } from './table.ts'

/** The oldest major version that is tried. */
const VERSION_MIN = 15
const SKEW_MS_WARN = 1000
const MIGRATE_MODULE = '@countersink/shared/postgres/migrate'

/** Postgres: version, durability, schema, clock and who owns the partitions. */
export async function postgresChecks(settings: Settings): Promise<Check[]> {
  const url = optionalSetting(settings, 'DATABASE_URL')
  if (url === undefined) {
    return [
      {
        name: 'postgres',
        level: 'fail',
        detail: 'DATABASE_URL is not set',
        fix: 'Run `npm start`, or set it.',
      },
    ]
  }
  const checks: Check[] = []
  try {
    await withDatabase(url, async (query) => {
      checks.push(await versionCheck(query), await clockCheck(query))
      checks.push(await schemaCheck(query))
      checks.push(await ownerCheck(query))
    })
  } catch (error) {
    checks.push(failure(error))
  }
  return checks
}

function failure(error: unknown): Check {
  const away = error instanceof CountersinkError && error.code === 'POSTGRES_UNAVAILABLE'
  return {
    name: away ? 'postgres' : 'schema',
    level: 'fail',
    detail: messageOf(error),
    fix: away
      ? 'Start it (`npm start` for a local one), or correct DATABASE_URL.'
      : 'Start an aggregator against this database once, with a user that may make schemas.',
  }
}

async function versionCheck(query: Query): Promise<Check> {
  const [row] = await query(
    `select current_setting('server_version') as version,
       current_setting('server_version_num')::int / 10000 as major,
       current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit`,
  )
  const major = Number(row?.['major'])
  const detail = `Postgres ${String(row?.['version'])}`
  if (major < VERSION_MIN) {
    return {
      name: 'postgres',
      level: 'fail',
      detail,
      fix: `Use Postgres ${VERSION_MIN} or newer; 18 is what the tests run on.`,
    }
  }
  if (row?.['fsync'] === 'off' || row?.['commit'] === 'off') {
    return {
      name: 'postgres',
      level: 'warn',
      detail: `${detail}, fsync ${String(row['fsync'])}, synchronous_commit ${String(row['commit'])}`,
      fix: 'After a crash of its machine commits may be missing; they are counted again from the log.',
    }
  }
  return { name: 'postgres', level: 'ok', detail }
}

/** The difference of the clocks, less half of the way there and back. */
async function clockCheck(query: Query): Promise<Check> {
  const before = Date.now()
  const [row] = await query('select extract(epoch from clock_timestamp()) * 1000 as now')
  const after = Date.now()
  const skewMs = Math.round((before + after) / 2 - Number(row?.['now']))
  const detail = `this machine is ${spoken(Math.abs(skewMs))} ${skewMs < 0 ? 'behind' : 'ahead of'} Postgres`
  if (Math.abs(skewMs) < SKEW_MS_WARN) return { name: 'clock', level: 'ok', detail }
  return {
    name: 'clock',
    level: Math.abs(skewMs) < CONTRACT_LIMITS.skewMs ? 'warn' : 'fail',
    detail,
    fix: `Synchronise the clocks: events more than ${spoken(CONTRACT_LIMITS.skewMs)} in the future are invalid.`,
  }
}

async function schemaCheck(query: Query): Promise<Check> {
  const schema = await liveSchema(query)
  const rows = await query('select name from countersink_migrations order by id')
  const applied = new Set(rows.map((row) => String(row['name'])))
  const known = migrationNames()
  const missing = known.filter((name) => !applied.has(name))
  const foreign = [...applied].filter((name) => !known.includes(name))
  const detail = `${schema} is live, ${applied.size} migrations`
  if (missing.length > 0) {
    return {
      name: 'schema',
      level: 'warn',
      detail: `${detail}, ${missing.join(', ')} not yet`,
      fix: 'A service of this version applies them when it starts.',
    }
  }
  if (foreign.length === 0) return { name: 'schema', level: 'ok', detail }
  return {
    name: 'schema',
    level: 'warn',
    detail: `${detail}, of which this version does not know ${foreign.join(', ')}`,
    fix: 'The database was made by a newer version: use its command line.',
  }
}

function migrationNames(): string[] {
  const folder = new URL('migrations/', import.meta.resolve(MIGRATE_MODULE))
  return readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .map((name) => name.slice(0, -'.sql'.length))
    .toSorted()
}

async function ownerCheck(query: Query): Promise<Check> {
  const schema = await liveSchema(query)
  const rows = await query(
    `select partition,
       token is not null and seen_at > now() - make_interval(secs => $1) as owned, owner
     from ${schema}.partitions order by partition`,
    [OWNER_SEEN_S_MAX],
  )
  return ownersCheck(rows)
}

/** Of rows {partition, owned, owner}. */
export function ownersCheck(rows: readonly Readonly<Record<string, unknown>>[]): Check {
  if (rows.length === 0) {
    return {
      name: 'aggregator',
      level: 'fail',
      detail: 'no aggregator has counted into this database yet',
      fix: 'Start one (`npm run aggregator`, or `npm start` for all).',
    }
  }
  const orphans = rows.filter((row) => row['owned'] !== true).map((row) => row['partition'])
  const owners = new Set(rows.filter((row) => row['owned'] === true).map((row) => row['owner']))
  if (orphans.length === 0) {
    const detail = `${plural(rows.length, 'partition')} owned by ${plural(owners.size, 'aggregator')}`
    return { name: 'aggregator', level: 'ok', detail }
  }
  return {
    name: 'aggregator',
    level: 'fail',
    detail: `nobody counts ${orphans.length === 1 ? 'partition' : 'partitions'} ${orphans.join(', ')}`,
    fix: 'Start an aggregator (`npm run aggregator`, or `npm start` for all), or see its log.',
  }
}
