import { CountersinkError } from '@countersink/shared/errors'

/** Where reading begins: `last` counts offsets before the end, of which some may hold no record. */
export type CatStart = 'beginning' | 'end' | { offset: number } | { last: number }

/** Offsets that a partition holds: from `first`, and the one behind the last committed record. */
export type Held = { first: number; end: number }

/** Undefined when the text is no place to begin at. */
export function parseStart(text: string): CatStart | undefined {
  if (text === 'beginning' || text === 'end') return text
  const value = Number(text)
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value)) return undefined
  return text.startsWith('-') ? { last: -value } : { offset: value }
}

/**
 * The offset to begin at in each of the wanted partitions; none wanted means all. Throws
 * CONFIG_INVALID when there is no such partition or it does not hold the offset.
 */
export function resolveStarts(
  from: CatStart,
  wanted: readonly number[],
  held: ReadonlyMap<number, Held>,
): Map<number, number> {
  const partitions = wanted.length === 0 ? [...held.keys()].toSorted((a, b) => a - b) : wanted
  if (typeof from === 'object' && 'offset' in from && partitions.length !== 1) {
    throw invalid('an offset is a place in one partition: say which with --partition')
  }
  return new Map(
    partitions.map((partition) => {
      const range = held.get(partition)
      if (range === undefined) throw invalid(noSuchPartition(partition, held.size))
      return [partition, startOf(from, partition, range)]
    }),
  )
}

function startOf(from: CatStart, partition: number, { first, end }: Held): number {
  if (from === 'beginning') return first
  if (from === 'end') return end
  if ('last' in from) return Math.max(first, end - from.last)
  if (from.offset >= first && from.offset <= end) return from.offset
  throw invalid(
    first === end
      ? `partition ${partition} holds no records; the next one will have the offset ${end}`
      : `partition ${partition} holds the offsets ${first} to ${end - 1}, not ${from.offset}`,
  )
}

function noSuchPartition(partition: number, count: number): string {
  return count === 1
    ? `there is no partition ${partition}: the topic has only partition 0`
    : `there is no partition ${partition}: the topic has the partitions 0 to ${count - 1}`
}

function invalid(message: string): CountersinkError {
  return new CountersinkError('CONFIG_INVALID', message)
}
