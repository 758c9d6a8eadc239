import { rmSync } from 'node:fs'
import { messageOf } from '@countersink/shared/errors'
import { BACKEND_NAMES } from './backends.ts'
import { endLeftovers } from './child-register.ts'
import { processEnvironment, stackConfig } from './config.ts'
import { takeDataDir, tellHolder } from './data-dir-holder.ts'
import { createDemo, type Demo } from './demo.ts'
import { createHaltWatch, type HaltWatch } from './halt-watch.ts'
import { shownPath } from './paths.ts'
import { createReport, secondsSince } from './report.ts'
import { createStack, prepareDataDir } from './stack.ts'
import { commandLine, whatToTry } from './what-to-try.ts'

/** A Ctrl-C arrives from the terminal and from npm: only a later one means "at once". */
const SECOND_SIGNAL_AFTER_MS = 1000

async function main(): Promise<void> {
  const begun = Date.now()
  const config = stackConfig(process.argv.slice(2), processEnvironment())
  const report = createReport(process.stderr)
  const paths = prepareDataDir(config.dataDir)
  const lock = await takeDataDir(paths, report.line)
  // Whoever finds the file must find a stack that is up.
  rmSync(paths.localEnv, { force: true })
  const ended = await endLeftovers(paths, BACKEND_NAMES)
  if (ended.length > 0) report.line(`Ended what an earlier start left running: ${ended.join(', ')}`)

  const stack = createStack(config, paths, report)
  let demo: Demo | undefined
  let halts: HaltWatch | undefined
  let stoppingSince: number | undefined

  async function end(code: number): Promise<never> {
    stoppingSince = Date.now()
    tellHolder(paths, true)
    halts?.stop()
    await demo?.stop()
    await stack.stop()
    lock.release()
    process.exit(code)
  }

  function onSignal(): void {
    if (stoppingSince === undefined) {
      report.line('Stopping…')
      end(0).catch((error: unknown) => {
        report.line(messageOf(error))
        process.exit(1)
      })
    } else if (Date.now() - stoppingSince > SECOND_SIGNAL_AFTER_MS) {
      report.line('Once more: ending everything at once.')
      stack.killAll()
    }
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  // The launcher died without a word (kill -9): nobody would ever stop us.
  process.on('disconnect', onSignal)

  report.line(`Countersink, with its data in ${shownPath(config.dataDir)}`)
  try {
    const localEnv = await stack.start()
    report.line(`Up in ${secondsSince(begun)}.`)
    const { COUNTERSINK_API: api = '' } = localEnv
    halts = createHaltWatch({ api, cli: commandLine(config.dataDir), say: report.line })
    await halts.look()
    halts.start()
    if (config.command === 'demo') {
      demo = createDemo(localEnv, report.line)
      await demo.start()
    }
    report.line(whatToTry(config, localEnv))
  } catch (error) {
    // Being stopped while starting is no failure; whoever stops us waits for the end elsewhere.
    if (stoppingSince !== undefined) return
    report.line(`\n${messageOf(error)}`)
    await end(1)
  }
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exit(1)
}
