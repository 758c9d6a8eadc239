/**
 * The one place that knows the form of ids that an SDK made:
 *
 *     id       := session "." lane "." sequence
 *     session  := 9 × [0-9a-z] (the time it began, base 36) | 16 × [A-Za-z0-9_-] (96 random bits, base64url)
 *     lane     := decimal without leading zeros, below 2^31
 *     sequence := decimal without leading zeros, below 2^53
 *
 * A lane is one counter in one partition as one session sees it, so sequences are dense there. The
 * form alone decides what an id is, whatever encoding it came in.
 */
export const SDK_ID = {
  sessionChars: 25,
  timeChars: 9,
  laneMax: 2 ** 31 - 1,
  sequenceMax: Number.MAX_SAFE_INTEGER,
  /** Of a whole id: the shortest and the longest. */
  charsMin: 29,
  charsMax: 53,
} as const

const { sessionChars: SESSION, timeChars: TIME, charsMin, charsMax } = SDK_ID
const DOT = 0x2e
const ZERO = 0x30
const LANE_DIGITS_MAX = 10
/** The greatest sequence without its last digit, and that digit. */
const SEQUENCE_HEAD_MAX = Math.floor(SDK_ID.sequenceMax / 10)
const SEQUENCE_TAIL_MAX = SDK_ID.sequenceMax % 10

/** Per byte: 1 may stand in the time, 2 in the random part, 3 in both. */
const CLASSES = new Uint8Array(256)
for (let byte = 0; byte < 128; byte++) {
  const char = String.fromCharCode(byte)
  CLASSES[byte] = (/[0-9a-z]/.test(char) ? 1 : 0) | (/[\w-]/.test(char) ? 2 : 0)
}

export type SdkId = { session: string; lane: number; sequence: number }

/** The id's text. The parts are trusted to be within their bounds: it is on the SDK's hot path. */
export function formatSdkId(session: string, lane: number, sequence: number): string {
  return `${session}.${lane}.${sequence}`
}

/** The parts of an id that has the form, undefined for any other. */
export function parseSdkId(id: string): SdkId | undefined {
  if (id.length < charsMin || id.length > charsMax) return undefined
  const bytes = Buffer.from(id)
  if (bytes.length !== id.length) return undefined
  const reader = new SdkIdReader()
  if (!reader.read(bytes, 0, bytes.length)) return undefined
  return { session: id.slice(0, SESSION), lane: reader.lane, sequence: reader.sequence }
}

/** True when the 25 bytes from `start` on may be a session. They must be there. */
export function isSdkSession(bytes: Uint8Array, start: number): boolean {
  let classes = 1
  for (let i = start; i < start + TIME; i++) classes &= CLASSES[bytes[i]!]!
  if (classes === 0) return false
  classes = 2
  for (let i = start + TIME; i < start + SESSION; i++) classes &= CLASSES[bytes[i]!]!
  return classes !== 0
}

/** Reads ids from bytes without allocation; its fields hold the parts of the last one that it read. */
export class SdkIdReader {
  lane = 0
  sequence = 0

  /** True when `bytes[start, end)` has the form. Its session is the first 25 bytes. */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start
    if (length < charsMin || length > charsMax || bytes[start + SESSION] !== DOT) return false
    const laneStart = start + SESSION + 1
    let at = laneStart
    let lane = 0
    while (at < end && bytes[at] !== DOT) {
      const digit = bytes[at++]! - ZERO
      if (digit < 0 || digit > 9) return false
      lane = lane * 10 + digit
    }
    const laneDigits = at - laneStart
    if (laneDigits === 0 || laneDigits > LANE_DIGITS_MAX || lane > SDK_ID.laneMax) return false
    if (laneDigits > 1 && bytes[laneStart] === ZERO) return false
    const sequenceStart = at + 1
    if (sequenceStart >= end || (bytes[sequenceStart] === ZERO && end > sequenceStart + 1)) {
      return false
    }
    let sequence = 0
    for (at = sequenceStart; at < end; at++) {
      const digit = bytes[at]! - ZERO
      if (digit < 0 || digit > 9 || sequence > SEQUENCE_HEAD_MAX) return false
      if (sequence === SEQUENCE_HEAD_MAX && digit > SEQUENCE_TAIL_MAX) return false
      sequence = sequence * 10 + digit
    }
    if (!isSdkSession(bytes, start)) return false
    this.lane = lane
    this.sequence = sequence
    return true
  }
}
