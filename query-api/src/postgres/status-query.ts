import { generationSchema } from '@countersink/shared/postgres/pool'
import type { Database } from './database.ts'

export type PartitionRow = {
  partition: number
  next: string
  floor: string
  append_max: string
  halted: string | null
  owned: boolean
  read: string
  applied: string
  duplicate: string
  conflict: string
  late: string
  invalid: string
  misrouted: string
}

/** An owner that has not shown itself for so long is none. */
const OWNER_SILENT_S_MAX = 5

export function readPartitions(database: Database, generation: number): Promise<PartitionRow[]> {
  return database.ask<PartitionRow>({
    name: `status_${generation}`,
    text: `select partition, next, floor, append_max, halted,
        token is not null and seen_at > now() - interval '${OWNER_SILENT_S_MAX} s' as owned,
        read, applied, duplicate, conflict, late, invalid, misrouted
      from ${generationSchema(generation)}.partitions order by partition`,
    values: [],
  })
}
