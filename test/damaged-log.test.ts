import { encodeRecordBatch, noStamp } from '@countersink/shared/kafka/record-batch-encoder'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from './cli-runner.ts'
import { createGapBed, type GapBed, untilOthersReach } from './gap-bed.ts'
import { logSegment, type LogSegment } from './log-segment.ts'
import type { WrittenEvent } from './log-writer.ts'
import { ownServers, type OwnServers, type ServiceHandle } from './stack.ts'

/** The partition whose log is damaged; the others must never stop. */
const DAMAGED = 1
/** More than a batch may grow to, and far more than its compressed size allows the broker to refuse. */
const BOMB_BYTES = 80 * 1024 * 1024

let servers: OwnServers
let bed: GapBed
let aggregator: ServiceHandle
let segment: LogSegment

beforeAll(async () => {
  servers = await ownServers()
  bed = await createGapBed({}, servers)
  segment = logSegment(servers, bed.topic, DAMAGED)
  aggregator = await bed.startService('aggregator')
})

afterAll(async () => {
  await bed?.stop()
  await servers?.stop()
})

function tellAllBut(written: readonly WrittenEvent[], from: number, to: number): void {
  bed.tally.add(
    written.filter(
      ({ partition, offset }) => partition !== DAMAGED || offset < from || offset >= to,
    ),
  )
}

async function expectExact(): Promise<void> {
  await bed.tally.settled()
  expect(await bed.tally.actual()).toEqual(bed.tally.expected())
}

test('I10, I12: a batch that would decompress to more than its bound halts its partition', async () => {
  await bed.write(300)
  await expectExact()
  await servers.kafka.stop()
  const { bytes, batches } = await segment.read()
  const offset = batches.at(-1)!.nextOffset
  const bomb = await encodeRecordBatch(
    [{ key: null, value: Buffer.alloc(BOMB_BYTES) }],
    'gzip',
    noStamp,
    Date.now(),
  )
  bomb.writeBigInt64BE(BigInt(offset), 0)
  await segment.replace(Buffer.concat([bytes.subarray(0, batches.at(-1)!.end), bomb]))
  await servers.kafka.start()

  expect(await bed.halted(aggregator, DAMAGED)).toContain(`offset ${offset} cannot be read`)
  const behind = await bed.append(bed.events(120))
  await untilOthersReach(bed.tally, DAMAGED, behind)
  await bed.decide(aggregator, DAMAGED, offset + 1)
  tellAllBut(behind, 0, 0)
  await expectExact()
})

test('I9, F20: a log that was cut behind the stored offset halts its partition, and after a refill too', async () => {
  await bed.write(120)
  await expectExact()
  await servers.kafka.stop()
  const { bytes, batches } = await segment.read()
  const cut = batches.at(-1)!
  await segment.replace(bytes.subarray(0, cut.start))
  await servers.kafka.start()

  expect(await bed.halted(aggregator, DAMAGED)).toContain('the log does not hold offset')
  const behind = await bed.append(bed.events(120))
  await untilOthersReach(bed.tally, DAMAGED, behind)
  // What was cut off is counted: the partition goes on where the log was refilled from.
  await bed.decide(aggregator, DAMAGED, cut.baseOffset)
  tellAllBut(behind, 0, 0)
  await expectExact()
})

test('I9, F20: a log that was cut and refilled past the stored offset is recognised by its records', async () => {
  await bed.write(120)
  await expectExact()
  await aggregator.stop()
  await servers.kafka.stop()
  const { bytes, batches } = await segment.read()
  const cut = batches.at(-1)!
  await segment.replace(bytes.subarray(0, cut.start))
  await servers.kafka.start()
  const refilled = await bed.append(bed.events(600))

  const starting = aggregator.start()
  expect(await bed.halted(aggregator, DAMAGED)).toContain('is not the one that was counted')
  await untilOthersReach(bed.tally, DAMAGED, refilled)
  await bed.decide(aggregator, DAMAGED, cut.baseOffset)
  await starting
  tellAllBut(refilled, 0, 0)
  await expectExact()
})

// The last one: the broker would cut its log here whenever it makes new indexes.
test('I10: a record batch that fails its checksum halts its partition, which says the offset and goes on behind it when told to', async () => {
  await aggregator.stop()
  const written = await bed.append(bed.events(120))
  const behind = await bed.append(bed.events(120))
  await servers.kafka.stop()
  const { bytes, batches } = await segment.read()
  const [victim] = batches.slice(-2)
  if (victim === undefined) throw new Error('the partition has no batches')
  // The last byte of a batch belongs to a value, or to what follows it.
  bytes[victim.end - 1]! ^= 0x01
  await segment.rot(bytes)
  await servers.kafka.start()

  const starting = aggregator.start()
  const reason = await bed.halted(aggregator, DAMAGED)
  expect(reason).toContain(`offset ${victim.baseOffset} cannot be read, the next batch begins`)
  expect(reason).toContain(`at ${victim.nextOffset}: checksum`)
  const args = ['cat', '--partition', String(DAMAGED), '--from', String(victim.baseOffset)]
  const seen = await runCli(args, { env: bed.env })
  expect([seen.code, seen.stdout]).toEqual([1, ''])
  expect(seen.stderr).toContain(`cannot be read at offset ${victim.baseOffset}: checksum`)
  expect(seen.stderr).toContain(`add --from ${victim.nextOffset}`)
  const choices = await runCli(['gap', 'accept', '--partition', String(DAMAGED)], { env: bed.env })
  expect([choices.code, choices.stderr]).toEqual([
    0,
    expect.stringContaining('Nothing was changed'),
  ])
  expect(choices.stdout).toMatch(/--to \d+ +what stopped it is mended: nothing is skipped\n/)
  expect(choices.stdout).toMatch(/--to OFFSET +a batch cannot be read/)
  await untilOthersReach(bed.tally, DAMAGED, behind)
  expect(await bed.next(DAMAGED)).toBe(victim.baseOffset)
  await bed.decide(aggregator, DAMAGED, victim.nextOffset)
  await starting
  tellAllBut([...written, ...behind], victim.baseOffset, victim.nextOffset)
  await expectExact()
})
