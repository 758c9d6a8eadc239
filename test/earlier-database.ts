import { readFile } from 'node:fs/promises'
import type pg from 'pg'

const MIGRATIONS = new URL('../shared/src/postgres/migrations/', import.meta.url)

/** All migrations from before names stood in runs. */
export const BEFORE_RUNS = [
  '0001_countersink',
  '0002_small_sums',
  '0003_pages_of_256',
  '0004_cold_ids',
  '0005_pages_of_512',
]

/** Makes an empty database what it was when these were all migrations that there are. */
export async function migrateTo(client: pg.Client, migrations: readonly string[]): Promise<void> {
  await client.query(
    `create table public.countersink_migrations
       (id serial primary key, name varchar(255) not null, run_on timestamp not null)`,
  )
  for (const migration of migrations) {
    await client.query(await readFile(new URL(`${migration}.sql`, MIGRATIONS), 'utf8'))
    await client.query(
      'insert into public.countersink_migrations (name, run_on) values ($1, now())',
      [migration],
    )
  }
}
