import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ProducerRecord } from '@countersink/shared/kafka/record-batch-encoder'
import { packedHeaders } from '@countersink/shared/packed/packed-format'
import { PackedWriter } from '@countersink/shared/packed/packed-writer'
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest'
import { runCli, runCliWell, startCli } from './cli-runner.ts'
import { createKafkaBed, type KafkaBed } from './kafka-bed.ts'
import { waitFor } from './stack.ts'

const AT = Date.UTC(2025, 0, 31, 12)
const TIME = '2025-01-31T12:00:00.000Z'
const SESSION = 'm6kq3f0a0ABCDEFGHIJKLMN-_'

let bed: KafkaBed
let env: Record<string, string>

function header(name: string, value: string): { name: string; value: Buffer } {
  return { name, value: Buffer.from(value) }
}

function record(value: Buffer | string | null, headers: ProducerRecord['headers']): ProducerRecord {
  return { key: null, value: value === null ? null : Buffer.from(value), headers: headers ?? [] }
}

function packed(): Buffer {
  const writer = new PackedWriter()
  const dims = new Map([['country', 'de']])
  for (let i = 0; i < 3; i++) writer.addMade(SESSION, 0, 40 + i, 'views', 'v1', undefined, AT, 1)
  writer.addRaw('own-1', 'likes', 'v\u001b[31m', dims, AT + 1, -2)
  // A key that no event may have: this event alone is invalid.
  writer.addRaw('own-2', 'views', ' ', undefined, AT, 1)
  return writer.finish()
}

/** One record of each kind, right and wrong, in partition 0; two plain ones in partition 1. */
async function writeAll(): Promise<void> {
  const cloud = { specversion: '1.0', id: 'c1', source: '/s', type: 'views', subject: 'v2' }
  const damaged = packed()
  damaged.writeUInt8(damaged.readUInt8(20) ^ 1, 20)
  const records = [
    record(JSON.stringify({ id: 'j1', counter: 'views', key: 'v1', delta: 5, at: AT }), []),
    record(JSON.stringify({ ...cloud, time: TIME }), [
      header('content-type', 'application/cloudevents+json'),
    ]),
    record('{"delta":3}', [
      ...Object.entries({ ...cloud, id: 'c2', time: TIME }).map(([k, v]) => header(`ce_${k}`, v)),
    ]),
    record(packed(), packedHeaders),
    record(damaged, packedHeaders),
    record('{', []),
    record(null, []),
    record('x', [header('content-type', 'application/avro')]),
  ]
  for (const one of records) await bed.producer.send(bed.topic, 0, [one])
  await bed.write(1, [
    JSON.stringify({ id: 'p1', counter: 'views', key: 'k', at: AT }),
    JSON.stringify({ id: 'p2', counter: 'views', key: 'k', at: AT, delta: -1 }),
  ])
}

beforeAll(async () => {
  bed = await createKafkaBed(inject('servers').brokers, { partitions: 2 })
  env = { KAFKA_BROKERS: bed.brokers, COUNTERSINK_TOPIC: bed.topic }
  await writeAll()
})
afterAll(() => bed.stop())

test('each event of any encoding is one line, an invalid one with its reason', async () => {
  const run = await runCliWell(['cat', '--partition', '0'], { env })
  expect(run.stdout.trimEnd().split('\n')).toEqual([
    `0:0  ${TIME}  json  views/v1  +5  j1`,
    `0:1  ${TIME}  cloud-event  views/v2  +1  2:/s:c1`,
    `0:2  ${TIME}  cloud-event  views/v2  +3  2:/s:c2`,
    `0:3.0  ${TIME}  packed  views/v1  +1  ${SESSION}.0.40`,
    `0:3.1  ${TIME}  packed  views/v1  +1  ${SESSION}.0.41`,
    `0:3.2  ${TIME}  packed  views/v1  +1  ${SESSION}.0.42`,
    `0:3.3  2025-01-31T12:00:00.001Z  packed  likes/v\\u{1b}[31m  -2  own-1  country=de`,
    expect.stringMatching(/^0:3\.4 {2}invalid {2}bad-key \(/),
    expect.stringMatching(/^0:4\.0 {2}invalid {2}packed-checksum \(/),
    expect.stringMatching(/^0:5 {2}invalid {2}not-json \(/),
    expect.stringMatching(/^0:6 {2}invalid {2}null-value \(/),
    expect.stringMatching(/^0:7 {2}invalid {2}unsupported-content-type \(/),
  ])
  expect(run.stderr).toBe('12 events of 8 records, 5 invalid\n')
})

test('as JSON a line is an object, whose event publish takes', async () => {
  const run = await runCliWell(['cat', '--json', '--partition', '0', '--from', '3'], { env })
  const lines = run.stdout.trimEnd().split('\n')
  const objects = lines.map((line): unknown => JSON.parse(line))
  expect(objects).toHaveLength(9)
  expect(objects[3]).toEqual({
    partition: 0,
    offset: 3,
    index: 3,
    timestamp: expect.stringMatching(/Z$/),
    encoding: 'packed',
    event: {
      id: 'own-1',
      counter: 'likes',
      key: 'v\u001b[31m',
      delta: -2,
      at: AT + 1,
      dims: { country: 'de' },
    },
  })
  expect(objects[5]).toMatchObject({ offset: 4, index: 0, reason: 'packed-checksum' })
})

test('all partitions, the last offsets of each, a number of events', async () => {
  const all = await runCliWell(['cat'], { env })
  expect(all.stdout.match(/^0:/gm)).toHaveLength(12)
  expect(all.stdout.match(/^1:/gm)).toHaveLength(2)
  const last = await runCliWell(['cat', '--from', '-1'], { env })
  expect(last.stdout.trimEnd().split('\n').toSorted()).toEqual([
    expect.stringMatching(/^0:7 /),
    expect.stringMatching(/^1:1 .* -1 {2}p2$/),
  ])
  const some = await runCliWell(['cat', '--partition', '0', '--from', '3', '--limit', '2'], { env })
  expect(some.stdout.match(/^0:3\.[01] /gm)).toHaveLength(2)
  expect(some.stdout.trimEnd().split('\n')).toHaveLength(2)
  const none = await runCliWell(['cat', '--from', 'end'], { env })
  expect(none.stdout).toBe('')
})

test('NO_COLOR and FORCE_COLOR are honoured', async () => {
  const args = ['cat', '--partition', '1', '--limit', '1']
  const coloured = await runCliWell(args, { env: { ...env, FORCE_COLOR: '1' } })
  expect(coloured.stdout).toContain('\u001b[')
  const plain = await runCliWell(args, { env: { ...env, NO_COLOR: '1' } })
  expect(plain.stdout + plain.stderr).not.toContain('\u001b')
})

test('following shows what is sent from now on, until it is interrupted', async () => {
  const seen = startCli(['cat', '--follow', '--partition', '1'], { env })
  let sent = 0
  // It begins at the end that it finds when it has started: send until something shows.
  await waitFor(
    async () => {
      const event = { id: `f${sent++}`, counter: 'views', key: 'follow', at: AT }
      await bed.write(1, [JSON.stringify(event)])
      return seen.stdout().includes('views/follow')
    },
    { what: 'a line of what was sent' },
  )
  expect(seen.stdout()).not.toContain('p1')
  seen.signal('SIGINT')
  const run = await seen.done
  expect(run.code).toBe(130)
  expect(run.stderr).toMatch(/^\d+ events? of \d+ records?\n$/)
})

test('what cannot be done is said, with an exit code', async () => {
  const failing = async (args: string[], over: Record<string, string> = {}) => {
    const run = await runCli(['cat', ...args], { env: { ...env, ...over } })
    expect(run.stdout).toBe('')
    return [run.code, run.stderr]
  }
  expect(await failing(['--from', '3'])).toEqual([2, expect.stringContaining('--partition')])
  expect(await failing(['--partition', '9'])).toEqual([2, expect.stringContaining('0 to 1')])
  expect(await failing(['--partition', '0', '--from', '99'])).toEqual([
    2,
    expect.stringContaining('holds the offsets 0 to 7, not 99'),
  ])
  expect(await failing(['--from', 'latest'])).toEqual([2, expect.stringContaining('none of')])
  expect(await failing(['--limit', '0'])).toEqual([2, expect.stringContaining('at least 1')])
  const missing = await failing([], { COUNTERSINK_TOPIC: 'no.such.topic' })
  expect(missing).toEqual([1, expect.stringContaining('there is no topic no.such.topic')])
})

test('a value in a file, or on standard input', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'countersink-cat-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  const file = join(dir, 'value.bin')
  await writeFile(file, packed())
  const run = await runCli(['cat', '--file', file], { env: {} })
  expect(run.code).toBe(3)
  expect(run.stdout).toContain(`0:0.2  ${TIME}  packed  views/v1  +1  ${SESSION}.0.42\n`)
  const event = { id: 'j', counter: 'views', key: 'v', at: AT }
  const json = await runCliWell(['cat', '--file', '-'], { env: {}, stdin: JSON.stringify(event) })
  expect(json.stdout).toBe(`0:0  ${TIME}  json  views/v  +1  j\n`)
  const none = await runCli(['cat', '--file', `${file}.none`], { env: {} })
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('cannot read')])
})
