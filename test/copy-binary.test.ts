import { pipeline } from 'node:stream/promises'
import {
  bigInt8ArrayParameter,
  int4ArrayParameter,
  int8ArrayParameter,
  textArrayParameter,
  uuidArrayParameter,
} from '@countersink/aggregator/postgres/binary-arrays'
import { CopyWriter } from '@countersink/aggregator/postgres/copy-binary'
import { Readable } from 'node:stream'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'

const client = new pg.Client({ connectionString: inject('servers').adminUrl })
beforeAll(() => client.connect())
afterAll(() => client.end())

const UUID = '00112233-4455-6677-8899-aabbccddeeff'
const MAX = BigInt(Number.MAX_SAFE_INTEGER)

async function copy(table: string, write: (writer: CopyWriter) => void): Promise<void> {
  const writer = new CopyWriter()
  writer.begin()
  write(writer)
  const stream = client.query(copyFrom(`copy ${table} from stdin with (format binary)`))
  await pipeline(Readable.from([writer.finish()]), stream)
}

test('Postgres reads from a binary COPY what was written into it', async () => {
  await client.query(`create temp table scalars (
    n int, a int2, b int4, c int8, d int8, t text, y bytea, u uuid, j jsonb)`)
  await copy('scalars', (writer) => {
    writer.row(9)
    writer.int4(1)
    writer.int2(-32768)
    writer.int4(-2147483648)
    writer.int8(Number.MIN_SAFE_INTEGER)
    writer.bigInt8(2n ** 63n - 1n)
    writer.text('a\\b\t\n"é€😀')
    writer.bytea(Buffer.from([0, 255, 10, 92]))
    writer.uuid(UUID)
    writer.jsonb('{"country":"dé"}')
    writer.row(9)
    writer.int4(2)
    for (let i = 0; i < 8; i++) writer.null()
  })
  const { rows } = await client.query('select * from scalars order by n')
  const nothing = { a: null, b: null, c: null, d: null, t: null, y: null, u: null, j: null }
  expect(rows).toEqual([
    {
      n: 1,
      a: -32768,
      b: -2147483648,
      c: String(Number.MIN_SAFE_INTEGER),
      d: '9223372036854775807',
      t: 'a\\b\t\n"é€😀',
      y: Buffer.from([0, 255, 10, 92]),
      u: UUID,
      j: { country: 'dé' },
    },
    { n: 2, ...nothing },
  ])
})

test('Postgres reads typed arrays, parts of them and empty ones', async () => {
  await client.query('create temp table arrays (n int, a int2[], b int4[], c int8[], d int8[])')
  const sums = Float64Array.of(0, -1, 2 ** 32, -(2 ** 32) - 1, Number.MAX_SAFE_INTEGER)
  const wide = BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)
  await copy('arrays', (writer) => {
    writer.row(5)
    writer.int4(1)
    writer.int2Array(Int16Array.of(5, -6, 7), 1, 3)
    writer.int4Array(Int32Array.of(-2147483648, 2147483647))
    writer.int8Array(sums)
    writer.bigInt8Array(wide)
    writer.row(5)
    writer.int4(2)
    writer.int2Array(new Int16Array(0))
    writer.int4Array(new Int32Array(4), 2, 2)
    writer.int8Array(new Float64Array(0))
    writer.bigInt8Array([])
  })
  const { rows } = await client.query('select * from arrays order by n')
  expect(rows).toEqual([
    {
      n: 1,
      a: [-6, 7],
      b: [-2147483648, 2147483647],
      c: ['0', '-1', '4294967296', '-4294967297', String(MAX)],
      d: ['-9223372036854775808', '9223372036854775807'],
    },
    { n: 2, a: [], b: [], c: [], d: [] },
  ])
  const bounds = await client.query('select array_lower(c, 1) as lower from arrays where n = 1')
  expect(bounds.rows).toEqual([{ lower: 1 }])
})

test('a COPY of more rows than the first buffer holds arrives complete', async () => {
  await client.query('create temp table many (n int8, values int8[])')
  const values = Float64Array.from({ length: 128 }, (_, i) => i * 1e9)
  await copy('many', (writer) => {
    for (let n = 0; n < 2000; n++) {
      writer.row(2)
      writer.int8(n * 1e9)
      writer.int8Array(values)
    }
  })
  const { rows } = await client.query(
    'select count(*) as rows, sum(n) as n, sum(v) as v from many cross join unnest(values) v',
  )
  expect(rows).toEqual([
    { rows: String(2000 * 128), n: '255872000000000000', v: '16256000000000000' },
  ])
})

test('Postgres takes binary arrays as parameters', async () => {
  const { rows } = await client.query(
    'select $1::int4[] as a, $2::int8[] as b, $3::int8[] as c, $4::text[] as d, $5::uuid[] as e',
    [
      int4ArrayParameter(Int32Array.of(1, -2, 3), 1),
      int8ArrayParameter(Float64Array.of(-1e15, 7)),
      bigInt8ArrayParameter(BigInt64Array.of(2n ** 62n)),
      textArrayParameter(['', 'null', 'a,"b"', 'é😀']),
      uuidArrayParameter([UUID, UUID.toUpperCase()]),
    ],
  )
  expect(rows).toEqual([
    {
      a: [-2, 3],
      b: ['-1000000000000000', '7'],
      c: [String(2n ** 62n)],
      d: ['', 'null', 'a,"b"', 'é😀'],
      e: [UUID, UUID],
    },
  ])
  const empty = await client.query('select $1::int8[] as a, $2::text[] as b', [
    int8ArrayParameter(new Float64Array(0)),
    textArrayParameter([]),
  ])
  expect(empty.rows).toEqual([{ a: [], b: [] }])
})
