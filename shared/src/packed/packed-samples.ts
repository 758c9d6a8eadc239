import fc from 'fast-check'
import type { CountEvent } from '../event.ts'
import { SDK_ID } from '../sdk-id.ts'
import type { PackedWriter } from './packed-writer.ts'

/** For tests: an event, and where its id is from a lane, the lane and sequence. */
export type SampleEvent = {
  event: CountEvent
  made?: { session: string; lane: number; sequence: number }
}

const SESSIONS = [
  'abcdefgh0ABCDEFGHIJKLMN-_',
  '000000000aaaaaaaaaaaaaaaa',
  'zzzzzzzzz________________',
]
const AT_MS_MAX = 253_402_300_799_999

/** Texts of every length of character, and such as share their beginnings. */
function text(bytesMax: number): fc.Arbitrary<string> {
  const free = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  const similar = fc
    .tuple(fc.constantFrom('a', 'ab', 'abé', 'ab\u{1f600}', 'x'.repeat(60)), fc.nat(300))
    .map(([start, number]) => `${start}${number}`)
  const long = fc.nat(2).map((less) => 'y'.repeat(bytesMax - less))
  return fc
    .oneof(similar, free, long)
    .filter((one) => Buffer.byteLength(one) <= bytesMax && /\S/u.test(one) && !one.includes('\0'))
}

const safeInteger = fc.oneof(
  fc.constant(1),
  fc.integer({ min: -3, max: 70 }),
  fc.maxSafeInteger(),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 52, -(2 ** 52), 64, -64),
)

const dims = fc
  .uniqueArray(fc.tuple(text(64), fc.oneof(fc.constant(''), text(256))), {
    minLength: 1,
    maxLength: 16,
    selector: ([name]) => name,
  })
  .map((pairs) => new Map(pairs.toSorted(([a], [b]) => (a < b ? -1 : 1))))

const made = fc.record({
  session: fc.constantFrom(...SESSIONS),
  lane: fc.oneof(fc.nat(3), fc.constant(SDK_ID.laneMax)),
  sequence: fc.oneof(fc.nat(5), fc.integer({ min: 2 ** 53 - 3, max: 2 ** 53 - 1 })),
})

/** Any valid event, of few series or of strange ones, with either kind of id. */
export const sampleEvent: fc.Arbitrary<SampleEvent> = fc
  .record({
    id: fc.oneof({ arbitrary: made, weight: 3 }, { arbitrary: text(256), weight: 2 }),
    counter: fc.oneof({ arbitrary: fc.constantFrom('views', 'likes'), weight: 3 }, text(128)),
    key: fc.oneof({ arbitrary: fc.nat(9).map((number) => `k${number}`), weight: 3 }, text(1024)),
    at: fc.oneof(
      fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
      fc.integer({ min: 0, max: AT_MS_MAX }),
      fc.constantFrom(0, AT_MS_MAX),
    ),
    delta: safeInteger,
    dims: fc.option(fc.oneof(dims, fc.constant(new Map([['country', 'de']]))), { nil: undefined }),
  })
  .map(({ id, dims: labels, ...rest }) => {
    const fields = { ...rest, ...(labels === undefined ? {} : { dims: labels }) }
    if (typeof id === 'string') return { event: { id, ...fields } }
    return { event: { id: `${id.session}.${id.lane}.${id.sequence}`, ...fields }, made: id }
  })

/** Adds a sample with the kind of id that it has. */
export function write(writer: PackedWriter, sample: SampleEvent): void {
  const { id, counter, key, dims: labels, at, delta } = sample.event
  if (sample.made === undefined) {
    writer.addRaw(id, counter, key, labels, at, delta)
    return
  }
  const { session, lane, sequence } = sample.made
  writer.addMade(session, lane, sequence, counter, key, labels, at, delta)
}
