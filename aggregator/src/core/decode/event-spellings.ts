/*
 * Makes the bytes that the fuzz test holds the two decoders to: events in many spellings, right and
 * wrong, and what is left of them after bytes were changed. Own code and not fast-check, because a
 * hundred thousand inputs have to take seconds; a failure prints its input and seed.
 */

export type Random = {
  /** An integer in [0, limit). */
  below(limit: number): number
  chance(probability: number): boolean
  pick<T>(list: readonly T[]): T
}

/** mulberry32 */
export function createRandom(seed: number): Random {
  let state = seed | 0
  function next(): number {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    below,
    chance: (probability) => next() < probability,
    pick: (list) => {
      const item = list[below(list.length)]
      if (item === undefined) throw new RangeError('nothing to pick from')
      return item
    },
  }
}

const PLAIN_CHARACTERS = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).filter(
  (c) => c !== '"' && c !== '\\',
)
const DIGITS = '0123456789'.split('')
const WORD_CHARACTERS = [...'abcdefghijklmnopqrstuvwxyz_-./:'.split(''), ...DIGITS]
/** What is written as one text here, parted by white space, is a list. */
function list(text: string): string[] {
  return text.trim().split(/\s+/)
}

const ODD_PARTS = [
  ...list(String.raw`\" \\ \/ \n \u0041 \u0000 \u00e9 \ud83d\ude00 \ud800 \udc00x \x41 \u12`),
  ...list('é e\u0301 😀 \u200b \u007f \u0080 \u0001 " \\'),
  ...'\u0000|\u001f|\n|\t|\u2028|\u00a0|\ufeff| |   '.split('|'),
]
/** Lengths on both sides of every limit, and of the scanner's words of four. */
const LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1024, 1025]

const NUMBERS = list(`
  0 -0 1 -1 7 42 -42 1000 9999 10000 123456789 00 01 -01 0000 00000 1e3 1E3 1e+3 1.0 -1.0 0.5 1e-1
  1200e-2 0e0 -0.0 1e999 -1e999 1e-999 1e15 1e16 2147483647 2147483648 4294967296 99999999999999
  999999999999999 -999999999999999 0999999999999999 1000000000000000 9007199254740991
  9007199254740992 9007199254740993 -9007199254740991 -9007199254740992 9007199254740991.4
  90071992547409910e-1 253402300799999 253402300800000 1700000000000 1700000000000.5 1.7e12 -1700
  18446744073709551616 ${'9'.repeat(400)} +1 .5 1. 1e - --1 0x10 NaN Infinity -Infinity 1_000 1n ٣
`).concat('1 1')
const PLAIN_NUMBERS = list('0 -0 1 -1 9 10 9999 10000 -123456789012345')

const TIMES = list(`
  2026-01-31T23:59:59Z 2026-01-31T23:59:59.123Z 2024-02-29T00:00:00+01:00 2023-02-29T00:00:00Z
  1969-12-31T23:59:59Z 1970-01-01T00:00:00Z 1970-01-01T00:00:00+00:01 9999-12-31T23:59:59.999Z
  9999-12-31T23:59:59-00:01 2026-13-01T00:00:00Z 2026-04-31T00:00:00Z 2026-00-10T00:00:00Z
  2026-01-00T00:00:00Z 2026-01-01T24:00:00Z 2026-01-01T00:60:00Z 2026-06-30T23:59:60Z
  2026-01-01t00:00:00z 2026-01-01T00:00:00 2026-01-01 2026-01-01T00:00:00.Z 2026-01-01T00:00:00.1Z
  2026-01-01T00:00:00.123456789Z 2026-01-01T00:00:00.1234567890Z +02026-01-01T00:00Z now
  2026-01-01T00:00:00+24:00 2026-01-01T00:00:00+23:59 2026-01-01T00:00:00-00:60
  2100-02-29T00:00:00Z 2000-02-29T12:34:56.7-11:30 2026-01-01T00:00:00+0100
`).concat('2026-01-01 00:00:00Z', '')
const NAMES = list('id counter key delta at dims')
const OTHER_NAMES = list(String.raw`
  v V vv specversion spec source type subject time data i idd ID coun count counters kex keys ke
  delt deltas delta_ a att dim dimss Dims __proto__ constructor toString hasOwn trace user 0 é
  \u0069d i\u0064 \u0064ims k\u0065y \u0076 data_base64 ${'x'.repeat(300)}
`).concat('', ' ', 'counter ', 'at ')
const LITERALS = list('true false null True nul falsy undefined trueish')
const SPACES = [' ', '\n', '\t', '\r\n', '  ', ' \n    ', '\u000b', '\u00a0', '\ufeff', '/**/']

function characters(random: Random, from: readonly string[], length: number): string {
  let text = ''
  for (let i = 0; i < length; i++) text += random.pick(from)
  return text
}

/** A string's source between its quotes: nearly always fine for a string of that kind. */
function textOf(random: Random, oddity: number): string {
  if (!random.chance(oddity)) {
    return random.pick(WORD_CHARACTERS) + characters(random, WORD_CHARACTERS, random.below(12))
  }
  const length = random.chance(0.5) ? random.pick(LENGTHS) : random.below(10)
  const text = characters(random, random.chance(0.5) ? PLAIN_CHARACTERS : ['x'], length)
  if (random.chance(0.5)) return text
  const at = random.below(text.length + 1)
  return text.slice(0, at) + random.pick(ODD_PARTS) + text.slice(at)
}

function numberOf(random: Random, oddity: number): string {
  if (random.chance(oddity)) return random.pick(NUMBERS)
  const digits = characters(random, DIGITS, random.below(15))
  return (random.chance(0.2) ? '-' : '') + (random.below(9) + 1) + digits
}

function atOf(random: Random, oddity: number): string {
  if (random.chance(oddity)) {
    return random.chance(0.5) ? `"${random.pick(TIMES)}"` : random.pick(NUMBERS)
  }
  const ms = random.below(4_000_000_000_000)
  return random.chance(0.2) ? `"${new Date(ms).toISOString()}"` : String(ms)
}

/** Any JSON value, or something near one. */
function anyValue(random: Random, depth = 0): string {
  switch (random.below(depth > 2 ? 4 : 6)) {
    case 0:
      return `"${textOf(random, 0.3)}"`
    case 1:
      return numberOf(random, 0.3)
    case 2:
    case 3:
      return random.pick(LITERALS)
    case 4: {
      const items = Array.from({ length: random.below(3) }, () => anyValue(random, depth + 1))
      return `[${items.join(',')}]`
    }
    default: {
      const name = random.pick([...NAMES, ...OTHER_NAMES])
      return random.chance(0.2) ? '{}' : `{"${name}":${anyValue(random, depth + 1)}}`
    }
  }
}

function dimsOf(random: Random, oddity: number): string {
  if (random.chance(oddity / 2)) return anyValue(random)
  const count = random.chance(oddity / 4) ? random.pick([15, 16, 17]) : random.below(4)
  const members = Array.from({ length: count }, (_, i) => {
    const odd = random.chance(oddity / 4)
    const name = odd ? textOf(random, 1) : random.pick(['a', 'country', '__proto__', '10']) + i
    return `"${name}":${random.chance(oddity / 8) ? anyValue(random) : `"${textOf(random, odd ? 1 : 0)}"`}`
  })
  if (members.length > 0 && random.chance(oddity / 4)) {
    const member = random.pick(members)
    members.push(random.chance(0.5) ? member : member.replace(/"[^"]*"$/, '"again"'))
  }
  return `{${members.map((member) => space(random, oddity) + member).join(',')}}`
}

function space(random: Random, oddity: number): string {
  if (!random.chance(0.15)) return ''
  return random.chance(oddity) ? random.pick(SPACES) : random.pick([' ', '\n', '\t', '\r\n  '])
}

function memberValue(random: Random, name: string, oddity: number): string {
  if (random.chance(oddity / 10)) return anyValue(random)
  switch (name) {
    case 'delta':
      return numberOf(random, oddity)
    case 'at':
      return atOf(random, oddity)
    case 'dims':
      return dimsOf(random, oddity)
    default:
      return `"${textOf(random, oddity)}"`
  }
}

function shuffle<T>(random: Random, list: T[]): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const [a, b] = [list[i], list[j]]
    if (a !== undefined && b !== undefined) [list[i], list[j]] = [b, a]
  }
  return list
}

/** An event that is mostly right: oddity 0 makes only what every decoder should take as it is. */
export function spellEvent(random: Random, oddity: number): string {
  const names = NAMES.filter((name) => {
    if (name === 'delta' || name === 'dims') return random.chance(0.6)
    return !random.chance(oddity / 20)
  })
  if (random.chance(oddity / 4)) names.push(random.pick(names.length > 0 ? names : NAMES))
  const members = names.map((name) => [name, memberValue(random, name, oddity)] as const)
  while (random.chance(oddity / 2)) members.push([random.pick(OTHER_NAMES), anyValue(random)])
  if (random.chance(0.5)) shuffle(random, members)
  let text = `${random.chance(oddity / 4) ? space(random, 1) : ''}{`
  members.forEach(([name, value], i) => {
    const comma = random.chance(oddity / 50) ? random.pick(['', ',,', ';']) : ','
    const colon = random.chance(oddity / 50) ? random.pick(['', '::', '=']) : ':'
    const before = random.chance(oddity / 10) ? space(random, oddity) : ''
    text += `${i === 0 ? '' : comma}${space(random, oddity)}"${name}"${before}${colon}`
    text += space(random, oddity) + value + space(random, oddity)
  })
  return `${text}${random.chance(oddity / 50) ? ',}' : '}'}${space(random, oddity)}`
}

/** Events that the scanner has to read by itself, whatever their order, spaces and further fields. */
export function spellPlainEvent(random: Random): string {
  const event = spellEvent(random, 0)
  if (random.chance(0.5)) return event
  const value = random.pick(['true', 'false', 'null', '""', '"plain text"', ...PLAIN_NUMBERS])
  return `{"${random.pick(['trace', 'vv', 'counters', 'kex', 'ida', 'dim'])}": ${value}, ${event.slice(1)}`
}

const BYTES = Buffer.from(
  '"\\{}[]:, \n\t-+.eE0123456789abid\0\x1f\x7f\x80\xbf\xc3\xe2\xef\xf0\xff',
  'latin1',
)

/** Changes a few bytes, cuts, doubles a part, or puts a byte-order mark before it. */
export function mutate(random: Random, bytes: Buffer): Buffer {
  let out = bytes
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const at = random.below(out.length + 1)
    const before = out.subarray(0, at)
    const after = out.subarray(at)
    const byte = Buffer.of(random.pick([...BYTES]))
    switch (random.below(7)) {
      case 0:
        out = Buffer.concat([before, byte, after.subarray(1)])
        break
      case 1:
        out = Buffer.concat([before, byte, after])
        break
      case 2:
        out = Buffer.concat([before, after.subarray(1)])
        break
      case 3:
        out = Buffer.concat([
          before,
          Buffer.of((after[0] ?? 0) ^ (1 << random.below(8))),
          after.subarray(1),
        ])
        break
      case 4: {
        const from = random.below(out.length + 1)
        out = Buffer.concat([before, out.subarray(from, from + random.below(20)), after])
        break
      }
      case 5:
        out = random.chance(0.3) ? before : out
        break
      default:
        out = random.chance(0.1) ? Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), out]) : out
    }
  }
  return out
}
