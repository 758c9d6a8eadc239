import { LIMITS } from '@countersink/shared/event'

/**
 * The fields of one event as a decoder found them: byte ranges `[start, end)` inside `bytes`,
 * and numbers. One object is filled again and again, so that decoding makes no garbage. Both
 * decoders fill it alike: whatever spelling an event had, equal events give equal bytes.
 */
export type Fields = {
  /** UTF-8 of the strings, without escapes: the record itself, or the slow path's scratch buffer. */
  bytes: Uint8Array
  idStart: number
  idEnd: number
  counterStart: number
  counterEnd: number
  keyStart: number
  keyEnd: number
  /** A safe integer, never -0. */
  delta: number
  /** Epoch milliseconds, 0 to year 9999. */
  at: number
  dimCount: number
  /** Four numbers a dim: name start and end, value start and end; in any order of names, none twice. */
  dims: Int32Array
}

export function createFields(): Fields {
  return {
    bytes: new Uint8Array(0),
    idStart: 0,
    idEnd: 0,
    counterStart: 0,
    counterEnd: 0,
    keyStart: 0,
    keyEnd: 0,
    delta: 0,
    at: 0,
    dimCount: 0,
    dims: new Int32Array(4 * LIMITS.dimsMax),
  }
}
