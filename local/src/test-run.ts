import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { processEnvironment } from './config.ts'
import { PROJECT_ROOT } from './paths.ts'

/**
 * `npm test`: unit tests, then system tests, and as the last line `N passed, N failed`. Arguments
 * go to vitest: `npm test -- --project unit`, `npm test -- test/local-stack.test.ts`.
 */
const reportSchema = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  testResults: z.array(z.object({ status: z.string(), assertionResults: z.array(z.unknown()) })),
})

export type Counts = { passed: number; failed: number }

/**
 * Counts from vitest's JSON report. A file that could not even be loaded has no tests that could
 * fail, and counts as one that did; so does a run that failed without any failed test.
 */
export function countTests(report: unknown, exitCode: number): Counts {
  const parsed = reportSchema.safeParse(report)
  if (!parsed.success) return { passed: 0, failed: 1 }
  const { numPassedTests: passed, numFailedTests, testResults } = parsed.data
  const unloaded = testResults.filter(({ status, assertionResults }) => {
    return status === 'failed' && assertionResults.length === 0
  }).length
  const failed = numFailedTests + unloaded
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed }
}

async function run(args: readonly string[]): Promise<Counts> {
  const dir = await mkdtemp(join(tmpdir(), 'countersink-report-'))
  const file = join(dir, 'report.json')
  const packageFile = createRequire(import.meta.url).resolve('vitest/package.json')
  const vitest = join(dirname(packageFile), 'vitest.mjs')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const bin = join(PROJECT_ROOT, 'node_modules', '.bin')
  const environment = processEnvironment()
  try {
    const child = spawn(process.execPath, [vitest, 'run', ...reporters, ...args], {
      cwd: PROJECT_ROOT,
      stdio: 'inherit',
      // What tests start by name must be the project's own Node and tools as well.
      env: { ...environment, PATH: `${bin}:${environment['PATH'] ?? ''}` },
    })
    // A Ctrl-C reaches vitest by itself; we stay until it has stopped its servers.
    process.on('SIGINT', () => {})
    process.on('SIGTERM', () => child.kill('SIGTERM'))
    const { promise, resolve } = Promise.withResolvers<number>()
    child.once('exit', (code) => resolve(code ?? 1))
    const exitCode = await promise
    return countTests(await readReport(file), exitCode)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function readReport(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    return undefined
  }
}

if (import.meta.main) {
  const { passed, failed } = await run(process.argv.slice(2))
  process.stdout.write(`${passed} passed, ${failed} failed\n`)
  process.exit(failed === 0 && passed > 0 ? 0 : 1)
}
