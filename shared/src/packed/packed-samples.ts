import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import { type CountEvent, LIMITS } from '../event.ts'
import { SDK_ID } from '../sdk-id.ts'
import { ByteWriter } from './byte-writer.ts'
import { PACKED_MAGIC, PACKED_VERSION } from './packed-format.ts'
import { PackedWriter } from './packed-writer.ts'

/*
 * For tests: what goes into a packed record, as fast-check sees it. Valid events, bodies whose parts
 * are right or nearly so, and valid values that something has bitten.
 */

/** An event, and where its id is from a lane, the parts of it. */
export type SampleEvent = {
  event: CountEvent
  made?: { session: string; lane: number; sequence: number }
}

const SESSIONS = [
  'abcdefgh0ABCDEFGHIJKLMN-_',
  '000000000aaaaaaaaaaaaaaaa',
  'zzzzzzzzz________________',
]

/** Texts of characters of every length, and such as share their beginnings. */
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

const integer = fc.oneof(
  fc.constant(1),
  fc.integer({ min: -3, max: 70 }),
  fc.maxSafeInteger(),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 52, -(2 ** 52), 64, -64),
)

const someDims = fc
  .uniqueArray(fc.tuple(text(LIMITS.dimNameBytesMax), fc.oneof(fc.constant(''), text(256))), {
    minLength: 1,
    maxLength: LIMITS.dimsMax,
    selector: ([name]) => name,
  })
  .map((pairs) => new Map(pairs.toSorted(([a], [b]) => (a < b ? -1 : 1))))

const madeId = fc.record({
  session: fc.constantFrom(...SESSIONS),
  lane: fc.oneof(fc.nat(3), fc.constant(SDK_ID.laneMax)),
  sequence: fc.oneof(fc.nat(5), fc.integer({ min: 2 ** 53 - 3, max: 2 ** 53 - 1 })),
})

/** Any valid event, of few series or of strange ones, with either kind of id. */
export const sampleEvent: fc.Arbitrary<SampleEvent> = fc
  .record({
    id: fc.oneof({ arbitrary: madeId, weight: 3 }, { arbitrary: text(256), weight: 2 }),
    counter: fc.oneof({ arbitrary: fc.constantFrom('views', 'likes'), weight: 3 }, text(128)),
    key: fc.oneof({ arbitrary: fc.nat(9).map((number) => `k${number}`), weight: 3 }, text(1024)),
    at: fc.oneof(
      fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
      fc.integer({ min: 0, max: LIMITS.atMsMax }),
      fc.constantFrom(0, LIMITS.atMsMax),
    ),
    delta: integer,
    dims: fc.option(fc.oneof(someDims, fc.constant(new Map([['country', 'de']]))), {
      nil: undefined,
    }),
  })
  .map(({ id, dims, ...rest }) => {
    const fields = dims === undefined ? rest : { ...rest, dims }
    if (typeof id === 'string') return { event: { id, ...fields } }
    return { event: { id: `${id.session}.${id.lane}.${id.sequence}`, ...fields }, made: id }
  })

/** Adds a sample with the kind of id that it has. */
export function addSample(writer: PackedWriter, sample: SampleEvent): void {
  const { id, counter, key, dims, at, delta } = sample.event
  if (sample.made === undefined) {
    writer.addRaw(id, counter, key, dims, at, delta)
    return
  }
  const { session, lane, sequence } = sample.made
  writer.addMade(session, lane, sequence, counter, key, dims, at, delta)
}

/** The value with that body, checksum and all. */
export function sealBody(body: Uint8Array): Buffer {
  const crc = Buffer.alloc(4)
  crc.writeUInt32LE(crc32c(body))
  return Buffer.concat([PACKED_MAGIC, Buffer.from([PACKED_VERSION]), crc, body])
}

/** Mostly the first, now and then one of the others: whole bodies must have a chance to be right. */
function mostly<T>(usual: fc.Arbitrary<T>, ...faults: fc.Arbitrary<T>[]): fc.Arbitrary<T> {
  return fc.oneof(
    { arbitrary: usual, weight: 60 * faults.length },
    ...faults.map((arbitrary) => ({ arbitrary, weight: 1 })),
  )
}

const oddBytes = fc.constantFrom(
  Buffer.alloc(0),
  Buffer.from(' \t'),
  Buffer.from('a\0b'),
  Buffer.from([0x61, 0xff]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0xc3]),
  Buffer.from('\ufeff'),
  Buffer.from('n'.repeat(65)),
  Buffer.from('n'.repeat(1025)),
)
const bodyText = fc.oneof(
  { arbitrary: text(64).map((one) => Buffer.from(one)), weight: 15 },
  { arbitrary: oddBytes, weight: 1 },
)
const oddNumber = fc.constantFrom(16_384, 16_385, 2 ** 31, 2 ** 53 - 1)
const small = mostly(fc.nat(2), fc.integer({ min: 3, max: 20 }), oddNumber)

type Write = (writer: ByteWriter) => void
type Part = fc.Arbitrary<Write>

const number = (from: fc.Arbitrary<number>): Part => from.map((n) => (out) => out.varint(n))
const signed = (from: fc.Arbitrary<number>): Part => from.map((n) => (out) => out.zigzag(n))
const bytes = (from: fc.Arbitrary<Buffer>): Part =>
  from.map((one) => (out) => {
    out.varint(one.length)
    for (const byte of one) out.byte(byte)
  })
const all = (...parts: Part[]): Part =>
  fc.tuple(...parts).map((writes) => (out) => {
    for (const write of writes) write(out)
  })
const repeated = (size: number, part: Part): Part =>
  fc.array(part, { minLength: size, maxLength: size }).map((writes) => (out) => {
    for (const write of writes) write(out)
  })
/** Up to three items with their number before them; that number may be a lie. */
const listed = (part: Part, least = 0): Part =>
  fc.integer({ min: least, max: 3 }).chain((size) => {
    return all(
      number(mostly(fc.constant(size), fc.constant(size + 1), oddNumber)),
      repeated(size, part),
    )
  })

const dimset = fc.integer({ min: 1, max: 3 }).chain((size) =>
  all(
    number(mostly(fc.constant(size), fc.constantFrom(0, 16, 17))),
    fc
      .uniqueArray(bodyText, { minLength: size, maxLength: size, selector: String })
      .chain((names) => {
        const sorted = names.toSorted((a, b) => (String(a) < String(b) ? -1 : 1))
        return all(...sorted.flatMap((name) => [bytes(fc.constant(name)), bytes(bodyText)]))
      }),
  ),
)

function idBlock(size: number): Part {
  const session = mostly(
    fc.constantFrom(...SESSIONS),
    fc.constantFrom('ABCDEFGHIabcdefghijklmnop', 'abcdefgh0ABCDEFGHIJKLM.-_', `é${'a'.repeat(23)}`),
  )
  const range = all(
    fc.constant((out) => out.byte(0)),
    session.map((one) => (out) => out.ascii(one)),
    number(mostly(fc.nat(3), fc.constantFrom(2 ** 31 - 1, 2 ** 31))),
    number(mostly(fc.nat(9), fc.constantFrom(2 ** 53 - 2, 2 ** 53 - 1))),
    number(mostly(fc.constant(size), fc.constantFrom(0, size + 1))),
  )
  const raw = all(
    fc.constant((out) => out.byte(1)),
    number(mostly(fc.constant(size), fc.constantFrom(0, size + 1))),
    repeated(size, all(number(mostly(fc.constant(0), fc.nat(3))), bytes(bodyText))),
  )
  return fc.oneof(range, raw)
}

/** Bodies that follow the grammar, but for a fault here and there, in structure or in an event. */
export const nearlyRightBody: fc.Arbitrary<Buffer> = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.boolean(), fc.boolean())
  .chain(([firstIds, moreIds, hasDims, areListed]) => {
    const count = firstIds + moreIds
    const at = mostly(fc.integer({ min: -50, max: 5000 }), integer)
    return all(
      number(mostly(fc.constant(count), fc.constantFrom(0, count + 1, 16_385))),
      number(
        mostly(fc.integer({ min: 0, max: 1e13 }), fc.constantFrom(LIMITS.atMsMax, 2 ** 53 - 1)),
      ),
      listed(bytes(bodyText), 3),
      listed(all(number(small), bytes(bodyText)), 3),
      hasDims ? listed(dimset, 3) : number(fc.constant(0)),
      idBlock(firstIds),
      idBlock(moreIds),
      repeated(count, number(small)),
      hasDims ? repeated(count, number(small)) : all(),
      repeated(count, signed(at)),
      number(mostly(fc.constant(areListed ? 1 : 0), fc.constant(2))),
      areListed ? repeated(count, signed(integer)) : all(),
      mostly(all(), number(fc.constant(0))),
    )
  })
  .map((write) => {
    const out = new ByteWriter()
    write(out)
    return Buffer.from(out.bytes.subarray(0, out.length))
  })

type Bite = (body: Buffer) => Buffer

const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const piece = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 3 }),
  // Varints that are longer than they need to be, the longest, and one too long.
  fc.constantFrom(
    [0x80, 0],
    [0x81, 0x80, 0],
    Array(7).fill(0xff).concat(0x7f),
    Array(9).fill(0xff),
  ),
)

const bite: fc.Arbitrary<Bite> = fc
  .tuple(place, fc.nat(3), piece)
  .map(([where, length, put]) => (body: Buffer) => {
    const start = Math.floor(where * (body.length + 1))
    return Buffer.concat([body.subarray(0, start), Buffer.from(put), body.subarray(start + length)])
  })
const cut: fc.Arbitrary<Bite> = place.map((where) => (body) => {
  return body.subarray(0, Math.floor(where * (body.length + 1)))
})

const bittenBody = fc
  .tuple(
    fc.array(sampleEvent, { minLength: 1, maxLength: 8 }),
    fc.array(fc.oneof({ arbitrary: bite, weight: 9 }, { arbitrary: cut, weight: 1 }), {
      maxLength: 2,
    }),
  )
  .map(([samples, bites]) => {
    const writer = new PackedWriter()
    for (const sample of samples) addSample(writer, sample)
    let body = writer.finish().subarray(9)
    for (const one of bites) body = one(body)
    return body
  })

/** Values of all sorts: nearly right, bitten with their checksum made right again or not, any bytes. */
export const anyPackedValue: fc.Arbitrary<Buffer> = fc.oneof(
  { arbitrary: nearlyRightBody.map(sealBody), weight: 10 },
  { arbitrary: bittenBody.map(sealBody), weight: 10 },
  {
    arbitrary: fc.tuple(bittenBody, bite).map(([body, last]) => last(sealBody(body))),
    weight: 2,
  },
  { arbitrary: fc.uint8Array({ maxLength: 60 }).map((one) => sealBody(one)), weight: 1 },
  { arbitrary: fc.uint8Array({ maxLength: 60 }).map((one) => Buffer.from(one)), weight: 1 },
)
