import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { type CliRun, runCli, runCliWell, startCli } from './cli-runner.ts'
import { createTestBed, type ServiceHandle, type TestBed, waitFor } from './stack.ts'

const HOUR_MS = 3_600_000

let bed: TestBed
let aggregator: ServiceHandle
let env: Record<string, string>

beforeAll(async () => {
  bed = await createTestBed({ partitions: 3 })
  aggregator = await bed.startService('aggregator')
  const api = await bed.startService('query-api')
  env = { ...bed.env, COUNTERSINK_API: api.url }
})
afterAll(() => bed.stop())

const now = Date.now()

type Event = Record<string, unknown>

function event(counter: string, i: number, more: Event = {}): Event {
  return { id: `${counter}-${i}`, counter, key: `k${i % 7}`, delta: 2, at: now - i, ...more }
}

function lines(events: readonly Event[]): string {
  return events.map((e) => `${JSON.stringify(e)}\n`).join('')
}

function events(counter: string, count: number): Event[] {
  return Array.from({ length: count }, (_, i) => event(counter, i))
}

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(bed.dir, name)
  await writeFile(path, content)
  return path
}

const summary = z.looseObject({
  sent: z.number(),
  counted: z.number().nullable(),
  duplicate: z.number().nullable(),
  conflict: z.number().nullable(),
  late: z.number().nullable(),
  invalid: z.number().nullable(),
  pending: z.number().nullable(),
  position: z.string().nullable(),
})

function summaryOf(run: CliRun): z.output<typeof summary> {
  return summary.parse(JSON.parse(run.stdout))
}

async function total(counter: string, key: string, ...args: string[]): Promise<string> {
  const run = await runCliWell(['get', counter, key, ...args], { env })
  return run.stdout.trim()
}

test('a zipped file is counted, and published again it is known', async () => {
  const path = await file('a.ndjson.gz', gzipSync(lines(events('a', 500))))
  const first = await runCliWell(['publish', path, '--json'], { env })
  const told = summaryOf(first)
  expect(told).toMatchObject({ sent: 500, counted: 500, duplicate: 0, late: 0, pending: 0 })
  const sums = await Promise.all([0, 1, 2, 3, 4, 5, 6].map((k) => total('a', `k${k}`)))
  expect(sums.map(Number).reduce((x, y) => x + y)).toBe(1000)

  const second = await runCliWell(['publish', path, '--json'], { env })
  expect(summaryOf(second)).toMatchObject({ sent: 500, counted: 0, duplicate: 500 })
  // The position of the summary is one that reads can wait for.
  expect(await total('a', 'k0', '--after', told.position ?? '')).toBe('144')
})

test('two publishers at once are each told of their own events', async () => {
  const [x, y] = await Promise.all([
    file('x.ndjson', lines(events('own', 3000))),
    file('y.ndjson', lines(events('own', 3500).slice(2000))),
  ])
  const runs = await Promise.all([x, y].map((path) => runCli(['publish', path, '--json'], { env })))
  const told = runs.map(summaryOf)
  expect(told.map((s) => s.sent)).toEqual([3000, 1500])
  for (const s of told) expect((s.counted ?? 0) + (s.duplicate ?? 0)).toBe(s.sent)
  // 1,000 events are in both files: each is counted for one and a duplicate for the other.
  expect(told.map((s) => s.counted ?? 0).reduce((p, q) => p + q)).toBe(3500)
  expect(told.map((s) => s.duplicate ?? 0).reduce((p, q) => p + q)).toBe(1000)
})

test('lines without an id may be published again, also from a longer file', async () => {
  const bare = events('bare', 40).map((e) => ({ ...e, id: undefined }))
  const path = await file('bare.ndjson', lines(bare.slice(0, 30)))
  expect(summaryOf(await runCli(['publish', path, '--json'], { env }))).toMatchObject({
    counted: 30,
  })
  await writeFile(path, lines(bare))
  expect(summaryOf(await runCli(['publish', path, '--json'], { env }))).toMatchObject({
    counted: 10,
    duplicate: 30,
  })
})

test('what does not count is told, with the reason, and makes the exit code 3', async () => {
  const bad = [
    event('bad', 1),
    event('bad', 1, { delta: 5 }),
    event('bad', 2, { at: now - 48 * HOUR_MS }),
    event('bad', 3, { at: now + HOUR_MS }),
  ].map((e) => ({ ...e, key: 'one' }))
  const text = `${lines(bad)}not json\n\n{"counter":"bad","key":"one"}\n`
  const run = await runCli(['publish', '-', '--json'], { env, stdin: text })
  expect(run.code).toBe(3)
  expect(summaryOf(run)).toMatchObject({
    lines: 7,
    invalidLines: 3,
    sent: 3,
    counted: 1,
    conflict: 1,
    late: 1,
    invalid: 0,
  })
  expect(run.stderr).toContain('line 5 is not sent: not-json')
  expect(run.stderr).toContain('line 7 is not sent: missing-at')
  expect(run.stderr).toContain('line 4 is not sent: future')
  expect(run.stderr).toMatch(/conflict: event bad-1 of bad\/one/)
  expect(run.stderr).toMatch(/1 of 4 events of "bad" will be late/)
})

test('--strict stops at the first bad line, --strict-lateness sends nothing', async () => {
  const strict = await runCli(['publish', '-', '--json', '--strict'], {
    env,
    stdin: `${lines([event('strict', 1)])}{\n${lines([event('strict', 2)])}`,
  })
  expect(strict.code).toBe(3)
  expect(summaryOf(strict)).toMatchObject({ sent: 1, counted: 1 })

  const unsorted = [event('order', 1), event('order', 2, { at: now - 72 * HOUR_MS })]
  const path = await file('order.ndjson', lines(unsorted.map((e) => ({ ...e, key: 'one' }))))
  const refused = await runCli(['publish', path, '--strict-lateness'], { env })
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('because of the order of the lines')
  expect(refused.stdout).toBe('')
  const get = await runCli(['get', 'order', 'one'], { env })
  expect([get.code, get.stdout]).toEqual([1, ''])
  expect(get.stderr).toContain('no event of this counter has been counted')
})

test('it waits through the death of the aggregator, and gives up in time when none comes', async () => {
  await aggregator.kill()
  const path = await file('dead.ndjson', lines(events('dead', 200)))
  const gaveUp = await runCli(['publish', path, '--json', '--timeout', '2s'], { env })
  expect(gaveUp.code).toBe(4)
  expect(summaryOf(gaveUp)).toMatchObject({ sent: 200, counted: 0, pending: 200 })
  expect(gaveUp.stderr).toContain('They are in the log and will be counted')

  const patient = startCli(['publish', path, '--json'], { env })
  await aggregator.start()
  const run = await patient.done
  expect([run.code, run.stderr]).toEqual([0, ''])
  expect(summaryOf(run)).toMatchObject({ sent: 200, counted: 0, duplicate: 200 })
})

test('Ctrl-C ends it in order, and what was sent is counted', async () => {
  await aggregator.kill()
  const path = await file('ctrl-c.ndjson', lines(events('ctrl', 100)))
  const before = await eventsInTopic()
  const publishing = startCli(['publish', path, '--json'], { env })
  await waitFor(async () => (await eventsInTopic()) === before + 100, { what: 'events in Kafka' })
  publishing.signal('SIGINT')
  const run = await publishing.done
  expect(run.code).toBe(130)
  expect(run.stderr).toContain('Publishing the same lines again is safe')
  await aggregator.start()
  const again = await runCliWell(['publish', path, '--json'], { env })
  expect(summaryOf(again)).toMatchObject({ counted: 0, duplicate: 100 })
})

async function eventsInTopic(): Promise<number> {
  return (await runCliWell(['cat', '--json'], { env })).stdout.split('\n').length - 1
}
