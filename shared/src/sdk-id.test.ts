import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatSdkId, parseSdkId, SDK_ID, SdkIdReader } from './sdk-id.ts'

const SESSION = '0mchx2z1aAZaz09_-AZaz09_-'

const charIn = (chars: string) => fc.constantFrom(...chars.split(''))
const LOWER = '0123456789abcdefghijklmnopqrstuvwxyz'
const sessions = fc
  .tuple(
    fc.array(charIn(LOWER), { minLength: 9, maxLength: 9 }),
    fc.array(charIn(`${LOWER}ABCDEFGHIJKLMNOPQRSTUVWXYZ_-`), { minLength: 16, maxLength: 16 }),
  )
  .map(([time, random]) => time.join('') + random.join(''))

test('every id that is formatted is read again, as text and as bytes anywhere in a buffer', () => {
  const lanes = fc.oneof(fc.nat(), fc.constantFrom(0, SDK_ID.laneMax))
  const sequences = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, SDK_ID.sequenceMax))
  fc.assert(
    fc.property(sessions, lanes, sequences, fc.nat(9), (session, lane, sequence, before) => {
      const id = formatSdkId(session, lane, sequence)
      expect(parseSdkId(id)).toEqual({ session, lane, sequence })
      const reader = new SdkIdReader()
      const bytes = Buffer.from(`${'9'.repeat(before)}${id}9`)
      expect(reader.read(bytes, before, before + id.length)).toBe(true)
      expect([reader.lane, reader.sequence]).toEqual([lane, sequence])
    }),
  )
})

/** The grammar once more, by other means. */
function parseByPattern(id: string) {
  const match = /^([0-9a-z]{9}[A-Za-z0-9_-]{16})\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/.exec(id)
  if (match === null) return undefined
  const [, session, lane, sequence] = match
  if (BigInt(lane!) >= 2n ** 31n || BigInt(sequence!) >= 2n ** 53n) return undefined
  return { session, lane: Number(lane), sequence: Number(sequence) }
}

test('what has another form is no id of an SDK: the grammar decides, to the last digit', () => {
  const part = fc.oneof(
    fc.constantFrom('', '0', '00', '01', '7', '-1', '+1', '1e3', '1.', ' 1', '１', '1\n', '٣'),
    fc.constantFrom('2147483647', '2147483648', '9999999999', '21474836470', '4294967296'),
    fc.constantFrom('9007199254740991', '9007199254740992', '9007199254740990', '9007199254741000'),
    fc.constantFrom('9999999999999999', '90071992547409910', '18446744073709551616'),
    fc.maxSafeNat().map(String),
  )
  const session = fc.oneof(
    sessions,
    sessions.map((text) => text.slice(1)),
    sessions.map((text) => `${text}0`),
    fc
      .tuple(sessions, fc.nat(24), fc.constantFrom('.', 'é', 'A', '_', '-', '~', '\0', ' ', '😀'))
      .map(([text, at, char]) => text.slice(0, at) + char + text.slice(at + 1)),
  )
  const separator = fc.oneof({ weight: 9, arbitrary: fc.constant('.') }, fc.constantFrom('', ':'))
  fc.assert(
    fc.property(session, separator, part, separator, part, (...parts) => {
      expect(parseSdkId(parts.join(''))).toEqual(parseByPattern(parts.join('')))
    }),
    { numRuns: 2000 },
  )
})

test.each(['', '.', SESSION, `${SESSION}.0`, `${SESSION}.0.`, `${SESSION}..0`, `${SESSION}.1.2.3`])(
  'no id of an SDK: %j',
  (id) => expect(parseSdkId(id)).toBeUndefined(),
)

test('a session whose time has capitals is none', () => {
  expect(parseSdkId(`${SESSION}.0.0`)).toBeDefined()
  expect(parseSdkId(`0MCHX2Z1A${SESSION.slice(9)}.0.0`)).toBeUndefined()
})
