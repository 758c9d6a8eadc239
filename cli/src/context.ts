import type { Settings } from './config.ts'
import type { ExitCode } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

/** What every command gets. `signal` is aborted by Ctrl-C. */
export type CommandContext = {
  settings: Settings
  terminal: Terminal
  signal: AbortSignal
}

/** Runs a command with settings of the data directory that was named, if any. */
export type Runner = (
  dataDir: string | undefined,
  command: (context: CommandContext) => Promise<ExitCode>,
) => Promise<void>
