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
