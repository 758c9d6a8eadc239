import { setTimeout as sleep } from 'node:timers/promises'
import { CountersinkError, messageOf } from '@countersink/shared/errors'
import { CommanderError } from 'commander'
import { readSettings } from './config.ts'
import type { CommandContext } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { createProgram } from './program.ts'
import { createTerminal, flushStreams } from './terminal.ts'

/** Two interrupts closer than this are one: a terminal and a parent process both send it. */
const INTERRUPT_MS_APART = 300
/** Longest time that cleaning up after Ctrl-C may take. */
const INTERRUPT_MS_MAX = 10_000

const terminal = createTerminal()
const interrupt = new AbortController()
let exitCode: ExitCode = EXIT.ok

quietPipes()
listenForInterrupts()
await run()
await flushStreams()
process.exit(exitCode)

async function run(): Promise<void> {
  const program = createProgram((dataDir, command) => {
    const context: CommandContext = {
      settings: readSettings({ dataDir }),
      terminal,
      signal: interrupt.signal,
    }
    return command(context).then((code) => {
      exitCode = code
    })
  })
  try {
    await program.parseAsync(process.argv)
  } catch (error) {
    exitCode = explain(error)
  }
}

function explain(error: unknown): ExitCode {
  if (interrupt.signal.aborted) return EXIT.interrupted
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  terminal.fail(messageOf(error))
  if (!(error instanceof CountersinkError)) return EXIT.failed
  if (error.code === 'CONFIG_INVALID' || error.code === 'CONTRACT_INVALID') return EXIT.usage
  return error.code === 'TIMED_OUT' ? EXIT.gaveUp : EXIT.failed
}

/** `countersink windows ... | head` ends without a word when head has enough. */
function quietPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      process.exit(error.code === 'EPIPE' ? exitCode : EXIT.failed)
    })
  }
}

/** The first one ends the command in order, the second one at once. */
function listenForInterrupts(): void {
  let firstAt: number | undefined
  const onInterrupt = (): void => {
    const now = performance.now()
    if (firstAt !== undefined && now - firstAt > INTERRUPT_MS_APART) process.exit(EXIT.interrupted)
    if (firstAt !== undefined) return
    firstAt = now
    interrupt.abort(new CountersinkError('CLOSED', 'interrupted'))
    void sleep(INTERRUPT_MS_MAX, undefined, { ref: false }).then(() =>
      process.exit(EXIT.interrupted),
    )
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onInterrupt)
}
