import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { CountersinkError, messageOf } from '@countersink/shared/errors'
import { z } from 'zod'
import { writeFileAtomic } from './atomic-file.ts'
import { BACKEND_NAMES } from './backends.ts'
import { endLeftovers } from './child-register.ts'
import { processEnvironment, stackConfig, type StackConfig } from './config.ts'
import { lockDataDir, type DataDirLock } from './data-dir-lock.ts'
import { shownPath, type DataPaths } from './paths.ts'
import { createReport, secondsSince, type Report } from './report.ts'
import { createStack, prepareDataDir, type Stack } from './stack.ts'
import { whatToTry } from './what-to-try.ts'

/** How long a start waits for the lock: an earlier one may be about to notice that it should end. */
const LOCK_MS_MAX = 3000
/** … and when that one has begun to stop, until it must have stopped. */
const LOCK_WHILE_STOPPING_MS_MAX = 30_000
const LOCK_POLL_MS = 100
/** A Ctrl-C arrives from the terminal and from npm: only a later one means "at once". */
const SECOND_SIGNAL_AFTER_MS = 1000

const holderSchema = z.object({ pid: z.int(), stopping: z.boolean() })

async function main(): Promise<void> {
  const begun = Date.now()
  const config = stackConfig(process.argv.slice(2), processEnvironment())
  const report = createReport(process.stderr)
  const paths = prepareDataDir(config.dataDir)
  const lock = await takeLock(paths, report)
  tellHolder(paths, false)
  const ended = await endLeftovers(paths, BACKEND_NAMES)
  if (ended.length > 0) report.line(`Ended what an earlier start left running: ${ended.join(', ')}`)

  const stack = createStack(config, paths, report)
  stopOnSignals(stack, lock, paths, report)
  report.line(`Countersink, with its data in ${shownPath(config.dataDir)}`)
  try {
    const localEnv = await stack.start()
    report.line(`Up in ${secondsSince(begun)}.`)
    report.line(whatToTry(config, localEnv))
    await runDemo(config, localEnv, report)
  } catch (error) {
    if (isStopping) return
    report.line(`\n${messageOf(error)}`)
    await end(stack, lock, paths, 1)
  }
}

async function takeLock(paths: DataPaths, report: Report): Promise<DataDirLock> {
  const begun = Date.now()
  for (let told = false; ; await delay(LOCK_POLL_MS)) {
    const lock = lockDataDir(paths.lock)
    if (lock) return lock
    const holder = readHolder(paths)
    const msMax = holder?.stopping ? LOCK_WHILE_STOPPING_MS_MAX : LOCK_MS_MAX
    if (Date.now() - begun > msMax) throw inUse(paths, holder?.pid)
    if (holder?.stopping && !told)
      report.line('An earlier start is still stopping; waiting for it.')
    told = holder?.stopping ?? false
  }
}

function inUse(paths: DataPaths, pid: number | undefined): CountersinkError {
  return new CountersinkError(
    'LIMIT_REACHED',
    `${shownPath(paths.dataDir)} is in use by a running stack${pid ? ` (pid ${pid})` : ''}. Stop it ` +
      `first (Ctrl-C), or start beside it: npm start -- --data-dir OTHER --port-base 25000`,
  )
}

function readHolder(paths: DataPaths): z.infer<typeof holderSchema> | undefined {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(paths.state, 'utf8')))
  } catch {
    return undefined
  }
}

function tellHolder(paths: DataPaths, stopping: boolean): void {
  // Somebody may have removed the whole directory under us.
  if (!existsSync(paths.dataDir)) return
  writeFileAtomic(paths.state, `${JSON.stringify({ pid: process.pid, stopping })}\n`)
}

let isStopping = false

function stopOnSignals(stack: Stack, lock: DataDirLock, paths: DataPaths, report: Report): void {
  let firstAt = 0
  const onSignal = (): void => {
    if (isStopping) {
      if (Date.now() - firstAt < SECOND_SIGNAL_AFTER_MS) return
      report.line('Once more: ending everything at once.')
      stack.killAll()
      return
    }
    firstAt = Date.now()
    report.line('Stopping…')
    void end(stack, lock, paths, 0).catch((error: unknown) => {
      report.line(messageOf(error))
      process.exit(1)
    })
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  // The launcher died without a word (kill -9): nobody would ever stop us.
  process.on('disconnect', onSignal)
}

async function end(stack: Stack, lock: DataDirLock, paths: DataPaths, code: number): Promise<void> {
  isStopping = true
  tellHolder(paths, true)
  await stack.stop()
  lock.release()
  process.exit(code)
}

async function runDemo(
  config: StackConfig,
  localEnv: Record<string, string>,
  report: Report,
): Promise<void> {
  void config
  void localEnv
  void report
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exit(1)
}
