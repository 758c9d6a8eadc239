import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli, runCliWell } from './cli-runner.ts'
import { createTestBed, type TestBed, waitFor } from './stack.ts'

const MINUTE_MS = 60_000
/** What a terminal would act upon: a colour, a bell, and text that reads from right to left. */
const EVIL_KEY = 'a\u001b[31mred\u0007\u202e\r\nb'

let bed: TestBed
let env: Record<string, string>
const startMs = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 10 * MINUTE_MS

beforeAll(async () => {
  bed = await createTestBed({
    partitions: 2,
    contractsYaml: 'counters: { plays: { breakdowns: [[country]] } }',
  })
  await bed.startService('aggregator')
  const api = await bed.startService('query-api')
  env = { ...bed.env, COUNTERSINK_API: api.url }
  const events = [
    { id: '1', key: 'k/1', delta: 5, at: startMs, dims: { country: 'de' } },
    { id: '2', key: 'k/1', delta: 7, at: startMs + MINUTE_MS, dims: { country: 'fr' } },
    { id: '3', key: EVIL_KEY, delta: 1, at: startMs },
  ]
  const stdin = events.map((e) => `${JSON.stringify({ counter: 'plays', ...e })}\n`).join('')
  await runCliWell(['publish', '-'], { env, stdin })
})
afterAll(() => bed.stop())

test('get prints the number alone on stdout, and how fresh it is on stderr', async () => {
  const run = await runCli(['get', 'plays', 'k/1'], { env })
  expect([run.code, run.stdout]).toEqual([0, '12\n'])
  expect(run.stderr).toMatch(/^as of .*, nothing behind\n$/)
  const part = await runCli(['get', 'plays', 'k/1', '--dims', 'country=de'], { env })
  expect(part.stdout).toBe('5\n')
  const json = await runCli(['get', 'plays', EVIL_KEY, '--json'], { env })
  expect(JSON.parse(json.stdout)).toMatchObject({ key: EVIL_KEY, total: '1' })
})

test('windows prints a table, or the answer as JSON', async () => {
  const args = [
    'windows',
    'plays',
    'k/1',
    '--from',
    String(startMs),
    '--to',
    String(startMs + 2 * MINUTE_MS),
  ]
  const table = await runCliWell(args, { env })
  const [head, first, second] = table.stdout.split('\n')
  expect(head).toMatch(/^start +end +delta +state$/)
  expect(first).toMatch(/ 5 {2}provisional$/)
  expect(second).toMatch(/ 7 {2}provisional$/)
  const json: unknown = JSON.parse((await runCli([...args, '--json'], { env })).stdout)
  expect(json).toMatchObject({ windows: [{ delta: '5' }, { delta: '7' }] })
})

test('windows shows what was just counted unless an end is named', async () => {
  const event = JSON.stringify({ id: 'now', counter: 'plays', key: 'just', at: Date.now() })
  await runCliWell(['publish', '-'], { env, stdin: `${event}\n` })
  for (const range of [[], ['--from', '2d']]) {
    const args = ['windows', 'plays', 'just', '--step', '1d', ...range]
    const rows = (await runCliWell(args, { env })).stdout.trimEnd().split('\n').slice(1)
    expect(rows.at(-1)).toMatch(/ 1 {2}provisional$/)
    expect(rows.length).toBe(range.length === 0 ? 60 : 2)
  }
})

test('windows ends quietly when its reader has enough', async () => {
  const wide = ['--from', '6d', '--step', '1m', '--json']
  const run = await runCli(['windows', 'plays', 'k/1', ...wide], { env, readBytes: 10 })
  expect([run.code, run.stderr]).toEqual([0, ''])
})

test('no control character of a stranger reaches the terminal', async () => {
  const stdin = `${JSON.stringify({ counter: 'plays', key: EVIL_KEY, id: EVIL_KEY, at: startMs })}\n`
  await runCli(['publish', '-'], { env, stdin })
  const conflict = stdin.replace('"id"', '"delta":9,"id"')
  const runs = await Promise.all([
    runCli(['publish', '-'], { env, stdin: conflict }),
    runCli(['get', 'plays', EVIL_KEY, '--json'], { env }),
    runCli(['get', EVIL_KEY, EVIL_KEY], { env }),
  ])
  for (const run of runs) {
    expect((run.stdout + run.stderr).replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u)
  }
  expect(runs[0].stderr).toContain('a\\u{1b}[31mred')
})

test('status shows each partition, and the sum', async () => {
  const json: unknown = JSON.parse((await runCli(['status', '--json'], { env })).stdout)
  expect(json).toMatchObject({ partitions: [{ partition: 0 }, { partition: 1 }] })
  const run = await runCliWell(['status'], { env })
  expect(run.stdout).toMatch(/^partition +state +next +end +lag +read +applied/m)
  expect(run.stdout).toMatch(/^all +0 /m)
})

test('doctor is content with a healthy stack, and says what is wrong with a broken one', async () => {
  const report = await waitFor(
    async () => {
      const run = await runCli(['doctor', '--json'], { env })
      return run.code === 0 && run.stdout
    },
    { what: 'doctor to be content' },
  )
  expect(JSON.parse(report || '{}')).toMatchObject({ ok: true })
  expect(report).not.toContain('"fail"')

  const broken = {
    ...env,
    KAFKA_BROKERS: '127.0.0.1:9',
    COUNTERSINK_API: 'http://127.0.0.1:9',
    COUNTERSINK_CONTRACTS: join(bed.dir, 'nowhere.yaml'),
  }
  const run = await runCli(['doctor'], { env: broken })
  expect(run.code).toBe(3)
  for (const name of ['contracts', 'kafka', 'api']) {
    expect(run.stdout).toMatch(new RegExp(`^fail {2}${name} .*\\n +-> `, 'm'))
  }
})

test('settings come from the local stack above the current directory, or from the one named', async () => {
  const project = join(bed.dir, 'project')
  await mkdir(join(project, '.countersink'), { recursive: true })
  await mkdir(join(project, 'below'))
  const text = Object.entries(env).map(([name, value]) => `${name}=${value}\n`)
  await writeFile(join(project, '.countersink', 'local.env'), text.join(''))
  const runs = await Promise.all([
    runCli(['get', 'plays', 'k/1'], { env: {}, cwd: join(project, 'below') }),
    runCli(['get', 'plays', 'k/1', '--data-dir', join(project, '.countersink')], { env: {} }),
  ])
  expect(runs.map((run) => run.stdout)).toEqual(['12\n', '12\n'])
  const lost = await runCli(['get', 'plays', 'k/1'], { env: {}, cwd: bed.dir })
  expect(lost.code).toBe(2)
  expect(lost.stderr).toContain('npm start')
})

test('wrong usage is exit code 2, with a suggestion', async () => {
  const typo = await runCli(['publsh', 'x'], { env })
  expect(typo.code).toBe(2)
  expect(typo.stderr).toContain('Did you mean publish?')
  const step = await runCli(['windows', 'plays', 'k/1', '--step', 'week'], { env })
  expect(step.code).toBe(2)
  const help = await runCli(['publish', '--help'], { env: {} })
  expect([help.code, help.stderr]).toEqual([0, ''])
  expect(help.stdout).toContain('Exit codes:')
})
