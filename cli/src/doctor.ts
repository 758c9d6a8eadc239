import type { CommandContext } from './context.ts'
import { apiChecks, gatewayChecks } from './doctor-services.ts'
import { kafkaChecks } from './doctor-kafka.ts'
import { machineChecks } from './doctor-machine.ts'
import { postgresChecks } from './doctor-postgres.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { printable } from './printable.ts'
import type { Style } from './terminal.ts'

type Level = 'ok' | 'warn' | 'fail'

/** One line of the doctor's report. `fix` says what to do when the level is not ok. */
export type Check = { name: string; level: Level; detail: string; fix?: string }

const STYLES: Record<Level, Style> = { ok: 'green', warn: 'yellow', fail: 'red' }

/** Runs all checks at once; each group answers for its own failures. */
export async function doctor(
  options: { json: boolean },
  context: CommandContext,
): Promise<ExitCode> {
  const { settings, terminal, signal } = context
  const groups = [
    machineChecks(settings),
    kafkaChecks(settings),
    postgresChecks(settings),
    apiChecks(settings, signal),
    gatewayChecks(settings, signal),
  ]
  const checks: Check[] = []
  for (const group of groups) {
    for (const check of await group) {
      checks.push(check)
      if (!options.json) print(check, context)
    }
  }
  const failed = checks.filter((check) => check.level === 'fail').length
  const warned = checks.filter((check) => check.level === 'warn').length
  if (options.json) terminal.printJson({ ok: failed === 0, checks })
  else terminal.print(verdict(failed, warned))
  return failed === 0 ? EXIT.ok : EXIT.partly
}

function print(check: Check, { terminal }: CommandContext): void {
  const level = terminal.paint(STYLES[check.level], check.level.padEnd(4))
  terminal.print(`${level}  ${check.name.padEnd(11)}  ${printable(check.detail)}`)
  if (check.fix !== undefined) terminal.print(`${' '.repeat(19)}-> ${check.fix}`)
}

function verdict(failed: number, warned: number): string {
  if (failed > 0) return `${failed} failed, ${warned} to look at`
  return warned > 0 ? `works, ${warned} to look at` : 'all is well'
}
