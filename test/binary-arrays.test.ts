import { createRequire } from 'node:module'
import { Writable } from 'node:stream'
import {
  bigInt8ArrayParameter,
  int4ArrayParameter,
  int8ArrayParameter,
} from '@countersink/aggregator/postgres/binary-arrays'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'

const client = new pg.Client({ connectionString: inject('servers').adminUrl })
beforeAll(() => client.connect())
afterAll(() => client.end())

test('Postgres takes binary arrays as parameters, parts of them and empty ones', async () => {
  const { rows } = await client.query('select $1::int4[] as a, $2::int8[] as b, $3::int8[] as c', [
    int4ArrayParameter(Int32Array.of(1, -2, 3), 1),
    int8ArrayParameter(Float64Array.of(-1e15, 7, -(2 ** 32) - 1)),
    bigInt8ArrayParameter([-(2n ** 63n), 2n ** 63n - 1n]),
  ])
  expect(rows).toEqual([
    {
      a: [-2, 3],
      b: ['-1000000000000000', '7', '-4294967297'],
      c: ['-9223372036854775808', '9223372036854775807'],
    },
  ])
  const empty = await client.query('select $1::int8[] as a, array_lower($2::int4[], 1) as b', [
    int8ArrayParameter(new Float64Array(0)),
    int4ArrayParameter(Int32Array.of(5)),
  ])
  expect(empty.rows).toEqual([{ a: [], b: 1 }])
})

test('Postgres takes parameters that are sent in parts of their message', async () => {
  const values = Int32Array.from({ length: 100_000 }, (_, i) => i)
  const large = int4ArrayParameter(values)
  const { rows } = await client.query(
    `select cardinality($1::int4[]) as a, $2::text as b, ($3::int4[])[100000] as c, $4::int4[] as d,
       (select sum(i)::int8 from unnest($1::int4[]) i) as e`,
    [large, 'between', large, int4ArrayParameter(Int32Array.of(5))],
  )
  expect(rows).toEqual([{ a: 100_000, b: 'between', c: 99_999, d: [5], e: '4999950000' }])
})

type Serialize = {
  bind(config: { values: unknown[] }): Buffer
  bindParts(config: { values: unknown[] }): Buffer[]
}

/** What pg itself writes messages with. */
const fromPg = createRequire(createRequire(import.meta.url).resolve('pg'))
const { serialize } = fromPg('pg-protocol') as { serialize: Serialize }

const LARGE = Buffer.alloc(100_000, 1)
const LARGER = Buffer.alloc(200_000, 2)
const VALUES = [LARGE, 'text', null, Buffer.from('small'), LARGER]

test.each([[VALUES], [['text']], [[]], [[LARGE]], [[LARGE, LARGER]]])(
  'in parts a message says the same',
  (values) => {
    const whole = serialize.bind({ values })
    expect(Buffer.concat(serialize.bindParts({ values })).equals(whole)).toBe(true)
  },
)

test('large parameters are sent where they lie', () => {
  const sent: unknown[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      sent.push(chunk)
      done()
    },
  })
  const connection = new pg.Connection({ stream: () => stream as never })
  connection.bind({ values: VALUES }, false)
  expect(sent).toContain(LARGE)
  expect(sent).toContain(LARGER)
  expect(sent).toHaveLength(5)
})
