import { parseContracts } from '@countersink/shared/contracts'
import { PackedWriter } from '@countersink/shared/packed/packed-writer'
import { PackedDecoder } from '@countersink/aggregator/core/packed-decoder'
import { PackedRecord } from '@countersink/aggregator/core/packed-record'
import { Columns } from '@countersink/aggregator/core/columns'
import { fold } from '@countersink/aggregator/core/fold'
import { hashKeyOf } from '@countersink/aggregator/core/keyed-hash'
import { PartitionState } from '@countersink/aggregator/core/partition-state'
import { RoutingVersions } from '@countersink/aggregator/core/placement'
import { crc32c } from '@node-rs/crc32'

const PER = Number(process.argv[2] ?? 2000)
const RECORDS = Math.floor(1_000_000 / PER)
const KEYS = Number(process.argv[3] ?? 100_000)
const POWER = Number(process.argv[4] ?? 3)
const raw = process.argv[5] === 'raw'
const newState = () =>
  new PartitionState({
    partition: 0,
    routing: RoutingVersions.fixed(1),
    hashKey: hashKeyOf(Buffer.from('0123456789abcdef')),
    contracts: parseContracts(''),
    next: 0,
    appendMax: 1_800_000_000_000,
  })
const writer = new PackedWriter()
const values: Buffer[] = []
let n = 0
for (let r = 0; r < RECORDS; r++) {
  for (let i = 0; i < PER; i++) {
    const key = 'k' + Math.floor(Math.random() ** POWER * KEYS)
    const at = 1_700_000_000_000 + Math.floor(n / 2)
    if (raw) writer.addRaw(crypto.randomUUID(), 'video_views', key, undefined, at, 1 + (n % 12))
    else
      writer.addMade(
        'abcdefgh0ABCDEFGHIJKLMN-_',
        3,
        n,
        'video_views',
        key,
        undefined,
        at,
        1 + (n % 12),
      )
    n++
  }
  values.push(writer.finish())
}
const events = RECORDS * PER
const bytes = values.reduce((s, v) => s + v.length, 0)
const all = Buffer.concat(values)
const starts: number[] = []
{
  let p = 0
  for (const v of values) {
    starts.push(p)
    p += v.length
  }
  starts.push(p)
}
console.log(`${events} events, ${(bytes / events).toFixed(1)} bytes each, ${PER} a record`)
const columns = new Columns()
const rec = new PackedRecord()
function time(what: string, f: () => void, rounds = 15) {
  const t: number[] = []
  for (let i = 0; i < rounds; i++) {
    const a = process.cpuUsage()
    f()
    const u = process.cpuUsage(a)
    t.push(((u.user + u.system) * 1000) / events)
  }
  console.log(what.padEnd(30), Math.min(...t).toFixed(1))
}
time('crc', () => {
  for (let r = 0; r < RECORDS; r++) crc32c(all.subarray(starts[r]!, starts[r + 1]!))
})
time('structure', () => {
  for (let r = 0; r < RECORDS; r++) if (rec.read(all, starts[r]!, starts[r + 1]!)) throw 1
})
const known = newState()
const decoder = new PackedDecoder()
function run(state: PartitionState, folds: boolean) {
  for (let r = 0; r < RECORDS; r++) {
    if (
      decoder.open(state, {
        offset: r,
        records: all,
        valueStart: starts[r]!,
        valueEnd: starts[r + 1]!,
      })
    )
      throw 1
    for (let more = true; more;) {
      columns.clear(all)
      more = decoder.append(columns)
      if (folds) fold(state, columns)
    }
  }
}
time('structure + rows', () => run(known, false))
time('all, fresh state', () => run(newState(), true))
time(
  'all, sealed',
  () => {
    const state = newState()
    run(state, true)
  },
  3,
)
