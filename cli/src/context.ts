import type { Settings } from './config.ts'
import type { Terminal } from './terminal.ts'

/** What every command gets. `signal` is aborted by Ctrl-C. */
export type CommandContext = {
  settings: Settings
  terminal: Terminal
  signal: AbortSignal
}
