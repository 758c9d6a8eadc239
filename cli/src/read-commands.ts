import { totalAnswer, windowsAnswer } from './api-answers.ts'
import { createApiClient } from './api-client.ts'
import { requireSetting } from './config.ts'
import type { CommandContext } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { printable } from './printable.ts'
import { formatTable, grouped, spoken } from './table.ts'

/** An API that is being started again answers within this time. */
const PATIENCE_MS = 10_000

export type GetOptions = {
  json: boolean
  dims: ReadonlyMap<string, string>
  after: string | undefined
}

/** Without a start or an end the API chooses it: up to and with the window of now, 60 windows. */
export type WindowsOptions = GetOptions & {
  fromMs: number | undefined
  toMs: number | undefined
  step: string
}

/** Prints the number alone, so that scripts can take it; how fresh it is goes to stderr. */
export async function get(
  counter: string,
  key: string,
  options: GetOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const path = `${keyPath(counter, key)}${queryOf(options, {})}`
  const answer = await apiOf(context).get(path, totalAnswer)
  if (options.json) context.terminal.printJson(answer)
  else {
    context.terminal.print(answer.total)
    context.terminal.note(context.terminal.paintNote('dim', freshness(answer)))
  }
  return EXIT.ok
}

export async function windows(
  counter: string,
  key: string,
  options: WindowsOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { fromMs, toMs, step } = options
  const range = {
    ...(fromMs !== undefined && { from: String(fromMs) }),
    ...(toMs !== undefined && { to: String(toMs) }),
  }
  const query = queryOf(options, { ...range, step })
  const answer = await apiOf(context).get(`${keyPath(counter, key)}/windows${query}`, windowsAnswer)
  if (options.json) {
    context.terminal.printJson(answer)
    return EXIT.ok
  }
  const rows = answer.windows.map((w) => [
    printable(w.start),
    printable(w.end),
    grouped(w.delta),
    printable(w.state),
  ])
  const table = formatTable(
    [
      { title: 'start', align: 'left' },
      { title: 'end', align: 'left' },
      { title: 'delta', align: 'right' },
      { title: 'state', align: 'left' },
    ],
    rows,
  )
  table.forEach(context.terminal.print)
  context.terminal.note(context.terminal.paintNote('dim', freshness(answer)))
  return EXIT.ok
}

function apiOf({ settings, signal }: CommandContext): ReturnType<typeof createApiClient> {
  return createApiClient(requireSetting(settings, 'COUNTERSINK_API'), signal, PATIENCE_MS)
}

function keyPath(counter: string, key: string): string {
  return `/v1/counters/${encodeURIComponent(counter)}/keys/${encodeURIComponent(key)}`
}

function queryOf(options: GetOptions, fields: Record<string, string>): string {
  const query = new URLSearchParams(fields)
  for (const [name, value] of options.dims) query.append(`dims.${name}`, value)
  if (options.after !== undefined) query.set('after', options.after)
  return query.size === 0 ? '' : `?${query.toString()}`
}

function freshness(answer: { asOf: string | null; lagMs: number | null }): string {
  const asOf = answer.asOf === null ? 'nothing counted yet' : `as of ${printable(answer.asOf)}`
  if (answer.lagMs === null) return asOf
  return answer.lagMs === 0 ? `${asOf}, nothing behind` : `${asOf}, ${spoken(answer.lagMs)} behind`
}
