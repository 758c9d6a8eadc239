import { withAdmin } from '@countersink/local/topic'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli, runCliWell } from './cli-runner.ts'
import { createTestBed, type ServiceHandle, type TestBed, waitFor } from './stack.ts'

let bed: TestBed
let aggregator: ServiceHandle
let env: Record<string, string>

beforeAll(async () => {
  bed = await createTestBed({ partitions: 1 })
  aggregator = await bed.startService('aggregator')
  const api = await bed.startService('query-api')
  env = { ...bed.env, COUNTERSINK_API: api.url }
})
afterAll(() => bed.stop())

const now = Date.now()

function lines(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, i) => {
    return `${JSON.stringify({ id: `e${from + i}`, counter: 'c', key: 'k', at: now })}\n`
  }).join('')
}

/** Each event at an offset of its own. */
function publish(from: number, to: number, ...args: string[]): Promise<unknown> {
  return runCliWell(['publish', '-', '--format', 'json', ...args], { env, stdin: lines(from, to) })
}

test('a partition that is not halted leaves nothing to decide', async () => {
  await publish(0, 10)
  const run = await runCli(['gap', 'accept', '--partition', '0', '--to', 'earliest'], { env })
  expect(run.code).toBe(2)
  expect(run.stderr).toContain('not halted')
  const list = await runCliWell(['gap', 'list', '--json'], { env })
  expect(JSON.parse(list.stdout)).toEqual({ halted: [], decided: [], accepted: [] })
})

test('a gap halts the partition, gap accept lets it go on, and the ledger keeps the gap', async () => {
  await aggregator.stop()
  await publish(10, 30, '--no-wait')
  await withAdmin(bed.brokers.split(','), (admin) => {
    return admin.deleteRecords(bed.topic, new Map([[0, 20]]))
  })

  await aggregator.start()
  await waitFor(async () => (await runCli(['status'], { env })).code === 3, { what: 'the halt' })
  const doctor = await runCli(['doctor'], { env })
  expect(doctor.code).toBe(3)
  expect(doctor.stdout).toMatch(/^fail {2}counting .*1 halted/m)

  const choices = await runCliWell(['gap', 'accept', '--partition', '0'], { env })
  expect(choices.stdout).toMatch(
    /^log holds {2}offsets 20 to 29\nchoices +--to earliest +offsets 10/m,
  )
  const blind = await runCli(['gap', 'accept', '--partition', '0', '--yes'], { env })
  expect([blind.code, blind.stdout]).toEqual([2, ''])
  expect(blind.stderr).toContain('--yes needs --to')

  const accept = ['gap', 'accept', '--partition', '0', '--to', 'earliest', '--json']
  const dry = await runCliWell(accept, { env })
  expect(JSON.parse(dry.stdout)).toMatchObject({ next: 10, to: 20, logEnd: 30, accepted: false })
  expect((await runCli(['status'], { env })).code).toBe(3)

  // While nobody owns the partition the decision is kept for the next owner.
  await aggregator.stop()
  const kept = await runCli([...accept, '--yes', '--timeout', '1s'], { env })
  expect(kept.code).toBe(4)
  const open = await runCliWell(['gap', 'list', '--json'], { env })
  expect(JSON.parse(open.stdout)).toMatchObject({ decided: [{ partition: 0, to: '20' }] })

  await aggregator.start()
  await waitFor(async () => (await runCli(['status'], { env })).code === 0, { what: 'going on' })
  const list = await runCliWell(['gap', 'list', '--json'], { env })
  expect(JSON.parse(list.stdout)).toMatchObject({
    halted: [],
    decided: [],
    accepted: [{ partition: 0, from: '10', to: '20' }],
  })
  await publish(30, 35)
  expect((await runCliWell(['get', 'c', 'k'], { env })).stdout).toBe('25\n')
})

test('an offset outside the log is refused, whatever is decided', async () => {
  await aggregator.stop()
  await publish(35, 40, '--no-wait')
  await withAdmin(bed.brokers.split(','), (admin) => {
    return admin.deleteRecords(bed.topic, new Map([[0, 38]]))
  })
  await aggregator.start()
  await waitFor(async () => (await runCli(['status'], { env })).code === 3, { what: 'the halt' })
  for (const to of ['37', '41']) {
    const run = await runCli(['gap', 'accept', '--partition', '0', '--to', to, '--yes'], { env })
    expect(run.code).toBe(2)
    expect(run.stderr).toContain('offsets 38 to 40')
  }
  const run = await runCliWell(['gap', 'accept', '--partition', '0', '--to', '38', '--yes'], {
    env,
  })
  expect(run.stdout).toContain('goes on at 38')
  await publish(40, 41)
  expect((await runCliWell(['get', 'c', 'k'], { env })).stdout).toBe('28\n')
})
