import { fromLimbs } from '@countersink/shared/page-format'
import { generationSchema } from '@countersink/shared/postgres/pool'
import type {
  LoggedDelta,
  PagedWindow,
  SlotRef,
  WindowRange,
  WindowsRead,
} from '../core/window-sums.ts'
import type { Database } from './database.ts'

type Row = {
  partition: number
  slot: number
  floor: string
  kind: 'page' | 'log' | null
  start: string
  /** Of a page its `next`, of a delta the first offset of its commit. */
  at: string
  delta: string | null
  carry: string | null
}

/**
 * One slot of each page of windows in a range, and what the log has of it below `tailBase`, where
 * the tail's deltas begin: nothing, unless the tail had to let go deltas above the floor. A page
 * past the floor counts even without the slot: it says that nothing before its `next` is missing.
 */
export async function readWindows(
  database: Database,
  generation: number,
  counter: number,
  slots: readonly SlotRef[],
  range: WindowRange,
  tailBase: ReadonlyMap<number, number>,
): Promise<WindowsRead> {
  const rows = await database.ask<Row>({
    name: `windows_${generation}`,
    text: windowsSql(generation),
    values: [
      counter,
      slots.map(({ partition }) => partition),
      slots.map(({ slot }) => slot),
      slots.map(({ partition }) => tailBase.get(partition) ?? 0),
      range.size,
      range.from,
      range.to,
    ],
  })
  const floors = new Map<number, number>()
  const pages: PagedWindow[] = []
  const logged: LoggedDelta[] = []
  for (const { partition, slot, floor, kind, start, at, delta, carry } of rows) {
    floors.set(partition, Number(floor))
    if (kind === null) continue
    const sum = fromLimbs(BigInt(delta ?? 0), BigInt(carry ?? 0))
    const entry = { partition, slot, start: Number(start), delta: sum }
    if (kind === 'page') pages.push({ ...entry, next: Number(at) })
    else logged.push({ ...entry, first: Number(at) })
  }
  return { floors, pages, logged, tailBase }
}

function windowsSql(generation: number): string {
  const s = generationSchema(generation)
  return `
    select k.partition, k.slot, p.floor, w.kind, w.start, w.at, w.delta, w.carry
    from unnest($2::int[], $3::int[], $4::bigint[]) k (partition, slot, tail_base)
    join ${s}.partitions p on p.partition = k.partition
    left join lateral (
      select 'page' as kind, w.start, w.next as at, coalesce(w.small_deltas[i.i], w.deltas[i.i]) as delta,
        w.carries[i.i] as carry
      from ${s}.window_pages_512 w
      cross join lateral (
        select array_position(w.slots, countersink.place_of(k.slot)::smallint) as i
      ) i
      where w.counter = $1 and w.partition = k.partition and w.page = countersink.page_of(k.slot)
        and w.size = $5 and w.start >= $6 and w.start < $7
        and (i.i is not null or w.next > p.floor)
      union all
      select 'log', d.start, d.first, u.delta, u.carry
      from ${s}.window_deltas d
      cross join unnest(
        d.slots, coalesce(d.small_deltas::bigint[], d.deltas), d.carries
      ) u (slot, delta, carry)
      where d.partition = k.partition and d.first >= p.floor and d.first < k.tail_base
        and d.counter = $1 and d.start >= $6 and d.start < $7 and u.slot = k.slot
    ) w on true`
}
