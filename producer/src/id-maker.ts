import { randomBytes } from 'node:crypto'

/** Makes the id of an event from its lane (its partition); never gives the same one twice. */
export type IdMaker = (lane: number) => string

const SESSION_RANDOM_BYTES = 12
const TIME_CHARS = 9

/**
 * Ids are `session.lane.sequence`: the session is the time it began and 96 random bits, so ids
 * never meet those of another process and sort by its start; within a lane they count up, so that
 * they are dense in a partition.
 */
export function createIdMaker(nowMs: number): IdMaker {
  const time = nowMs.toString(36).padStart(TIME_CHARS, '0')
  const session = time + randomBytes(SESSION_RANDOM_BYTES).toString('base64url')
  const sequences: number[] = []

  return (lane) => {
    const sequence = sequences[lane] ?? 0
    sequences[lane] = sequence + 1
    return `${session}.${lane}.${sequence}`
  }
}
