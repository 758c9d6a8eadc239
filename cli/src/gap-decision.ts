import { PACKED_LIMITS } from '@countersink/shared/packed/packed-format'
import { printable } from './printable.ts'
import { formatTable, grouped, plural } from './table.ts'

/** A halted partition: `next` is the first offset that is not counted, the log holds [logStart, logEnd). */
export type HaltedPartition = {
  partition: number
  halted: string
  next: number
  logStart: number
  logEnd: number
}

/** Where it would go on. */
export type Decision = HaltedPartition & { to: number }

export function consequence({ next, to }: Decision): string {
  if (to > next) {
    return (
      `offsets ${grouped(next)} to ${grouped(to - 1)} are skipped: up to ` +
      `${plural(to - next, 'record')} never counted, of up to ` +
      `${grouped(PACKED_LIMITS.eventsMax)} events each where they are packed`
    )
  }
  if (to === next) return 'nothing is skipped'
  return (
    `the offset goes back from ${grouped(next)} to ${grouped(to)}: right when the topic was made ` +
    'again and holds other records now; ids that are remembered are not counted twice'
  )
}

/** What is known of it, a line each. */
export function haltedLines(p: HaltedPartition): string[] {
  const held =
    p.logStart === p.logEnd
      ? `nothing; the next record will be offset ${grouped(p.logEnd)}`
      : `offsets ${grouped(p.logStart)} to ${grouped(p.logEnd - 1)}`
  return [
    `partition  ${p.partition}`,
    `halted     ${printable(p.halted)}`,
    `counted    the offsets before ${grouped(p.next)}`,
    `log holds  ${held}`,
  ]
}

/** What can be decided, a line for each place to go on: which is right depends on why it is halted. */
export function choiceLines(p: HaltedPartition): string[] {
  const [, ...lines] = formatTable(
    ['', '', ''].map((title) => ({ title, align: 'left' })),
    choices(p).map(([to, meaning], i) => [i === 0 ? 'choices  ' : '', `--to ${to}`, meaning]),
  )
  return lines
}

function choices(p: HaltedPartition): [to: string, meaning: string][] {
  const { next, logStart, logEnd } = p
  if (next < logStart) return [['earliest', consequence({ ...p, to: logStart })]]
  const madeAgain = 'the topic was made again and holds other records now: from its first one on'
  if (next > logEnd) {
    const lost = 'the end of the log was lost, its records are counted: with what comes from now on'
    return [
      ['earliest', madeAgain],
      [String(logEnd), lost],
    ]
  }
  return [
    [String(next), 'what stopped it is mended: nothing is skipped'],
    ['OFFSET', 'a batch cannot be read: behind it; what is skipped is never counted'],
    ['earliest', madeAgain],
  ]
}
