import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestBed, type TestBed } from './stack.ts'

let bed: TestBed
beforeAll(async () => {
  bed = await createTestBed({ partitions: 2 })
})
afterAll(() => bed.stop())

test('a test bed has a migrated database and a topic of its own', async () => {
  const [row] = await bed.sql<{ name: string }>('select current_database() as name')
  expect(bed.databaseUrl).toContain(row?.name)
  const found = await bed.sql(`select from pg_namespace where nspname = 'countersink'`)
  expect(found).toHaveLength(1)
})
