import { CountersinkError } from './errors.ts'

/**
 * "Counted at least up to here": per partition the offset of the first record that need not be
 * counted yet. `topic` is the topic's name; `generation` is 0 where the maker does not know it
 * (a producer knows none). A position of another topic is never comparable.
 */
export type Position = {
  topic: string
  generation: number
  /** partition -> next offset */
  next: ReadonlyMap<number, number>
}

const PREFIX = 'p1.'
const PARTITIONS_MAX = 10_000
const TOKEN_CHARS_MAX = 200_000

/** An opaque, URL-safe token; equal positions have equal tokens. */
export function formatPosition(position: Position): string {
  const next = [...position.next].toSorted(([a], [b]) => a - b)
  const json = JSON.stringify([position.topic, position.generation, ...next.flat()])
  return PREFIX + Buffer.from(json).toString('base64url')
}

/** Throws POSITION_INVALID for anything that formatPosition did not make. */
export function parsePosition(token: string): Position {
  const fields =
    token.length <= TOKEN_CHARS_MAX && token.startsWith(PREFIX) ? decode(token) : undefined
  // Only the one spelling that formatPosition gives: tokens can be compared and cached as text.
  if (fields === undefined || formatPosition(fields) !== token) {
    throw new CountersinkError('POSITION_INVALID', 'this is no position token of ours')
  }
  return fields
}

function decode(token: string): Position | undefined {
  let raw: unknown
  try {
    raw = JSON.parse(Buffer.from(token.slice(PREFIX.length), 'base64url').toString())
  } catch {
    return undefined
  }
  if (!Array.isArray(raw) || raw.length < 2 || raw.length % 2 !== 0) return undefined
  const [topic, generation, ...flat] = raw as unknown[]
  if (typeof topic !== 'string' || !isOffset(generation)) return undefined
  if (flat.length > 2 * PARTITIONS_MAX || !flat.every(isOffset)) return undefined
  const next = new Map<number, number>()
  for (let i = 0; i < flat.length; i += 2) next.set(flat[i]!, flat[i + 1]!)
  return { topic, generation, next }
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** The least position that covers both. Throws POSITION_INVALID for two topics. */
export function mergePositions(a: Position, b: Position): Position {
  if (a.topic !== b.topic) {
    throw new CountersinkError(
      'POSITION_INVALID',
      `positions of two topics: ${a.topic}, ${b.topic}`,
    )
  }
  const next = new Map(a.next)
  for (const [partition, offset] of b.next) {
    next.set(partition, Math.max(offset, next.get(partition) ?? 0))
  }
  return { topic: a.topic, generation: Math.max(a.generation, b.generation), next }
}

/** True when everything that `wanted` names is counted at `reached`. */
export function covers(reached: Position, wanted: Position): boolean {
  if (reached.topic !== wanted.topic) return false
  return [...wanted.next].every(
    ([partition, offset]) => (reached.next.get(partition) ?? 0) >= offset,
  )
}
