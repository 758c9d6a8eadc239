import { VarintReader } from '@countersink/aggregator/core/varint-reader'
import { readTimes, readNumbers, readDeltas } from '@countersink/aggregator/core/packed-columns'
import { PackedRecord } from '@countersink/aggregator/core/packed-record'
import { PackedWriter } from '@countersink/shared/packed/packed-writer'
const w = new PackedWriter()
for (let i = 0; i < 1000; i++)
  w.addMade(
    '0mchx2z1aAZaz09_-AZaz09_A',
    1,
    i,
    'video_views',
    'k' + (i % 100),
    undefined,
    1_700_000_000_000 + i,
    1 + (i % 12),
  )
const v = w.finish()
const reader = new VarintReader()
const ints = new Int32Array(16384),
  f = new Float64Array(16384)
const bytes = Buffer.alloc(1100, 2)
const rec = new PackedRecord()
function heap(what: string, run: () => void) {
  for (let i = 0; i < 3000; i++) run()
  const h: number[] = []
  for (let r = 0; r < 9; r++) {
    const a = process.memoryUsage().heapUsed
    for (let i = 0; i < 20; i++) run()
    h.push((process.memoryUsage().heapUsed - a) / 20000)
  }
  console.log(what, h.sort((a, b) => a - b)[4]!.toFixed(2))
}
heap('numbers', () => {
  reader.open(bytes, 0, 1100)
  readNumbers(reader, 1000, 100, ints)
})
heap('deltas', () => {
  reader.open(bytes, 0, 1100)
  readDeltas(reader, 1000, f)
})
heap('times', () => {
  reader.open(bytes, 0, 1100)
  readTimes(reader, 1000, 1_700_000_000_000, f)
})
heap('read', () => {
  if (rec.read(v, 0, v.length)) throw 1
})
