import { setTimeout as sleep } from 'node:timers/promises'
import { type StatusAnswer, statusAnswer } from './api-answers.ts'
import { createApiClient } from './api-client.ts'
import { requireSetting } from './config.ts'
import type { CommandContext } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { printable } from './printable.ts'
import { formatTable, grouped } from './table.ts'
import type { Terminal } from './terminal.ts'

const PATIENCE_MS = 10_000
const WATCH_MS = 1000
const CLEAR_SCREEN = '\u001b[H\u001b[J'

export type StatusOptions = { json: boolean; watch: boolean }

/** Exit code 3 when a partition is halted: it waits for an operator. */
export async function status(options: StatusOptions, context: CommandContext): Promise<ExitCode> {
  const { settings, terminal, signal } = context
  const api = createApiClient(requireSetting(settings, 'COUNTERSINK_API'), signal, PATIENCE_MS)
  for (;;) {
    const answer = await api.get('/v1/status', statusAnswer)
    if (options.json) terminal.printJson(answer)
    else {
      const lines = statusLines(answer, terminal)
      // One write, so that the table does not flicker.
      if (options.watch && process.stdout.isTTY) terminal.print(CLEAR_SCREEN + lines.join('\n'))
      else lines.forEach(terminal.print)
    }
    if (!options.watch) {
      return answer.partitions.some((p) => p.state === 'halted') ? EXIT.partly : EXIT.ok
    }
    await sleep(WATCH_MS, undefined, { signal })
  }
}

const COUNTS = ['read', 'applied', 'duplicate', 'conflict', 'late', 'invalid'] as const

function statusLines(answer: StatusAnswer, terminal: Pick<Terminal, 'paint'>): string[] {
  const rows = answer.partitions.map((p) => [
    String(p.partition),
    printable(p.state),
    grouped(p.next),
    p.end === null ? '?' : grouped(p.end),
    p.lag === null ? '?' : grouped(p.lag),
    ...COUNTS.map((name) => grouped(p[name])),
  ])
  const sum = (name: (typeof COUNTS)[number]): string =>
    grouped(answer.partitions.reduce((total, p) => total + BigInt(p[name]), 0n))
  const lag = answer.partitions.reduce((total, p) => total + (p.lag ?? 0), 0)
  const all = ['all', '', '', '', grouped(lag), ...COUNTS.map(sum)]
  const table = formatTable(
    [
      { title: 'partition', align: 'left' },
      { title: 'state', align: 'left' },
      ...['next', 'end', 'lag', ...COUNTS].map((title) => ({ title, align: 'right' as const })),
    ],
    [...rows, all],
  )
  const halted = answer.partitions.filter((p) => p.state === 'halted')
  return [
    `generation ${answer.generation}`,
    ...table.map((line, i) => paintRow(line, answer.partitions[i - 1]?.state, terminal)),
    ...halted.map((p) => {
      const reason = typeof p['halted'] === 'string' ? `: ${printable(p['halted'])}` : ''
      return `partition ${p.partition} is halted${reason}. What can be decided: \`countersink gap accept --partition ${p.partition}\``
    }),
  ]
}

function paintRow(
  line: string,
  state: string | undefined,
  terminal: Pick<Terminal, 'paint'>,
): string {
  if (state === 'halted') return terminal.paint('red', line)
  return state === 'catching-up' ? terminal.paint('yellow', line) : line
}
