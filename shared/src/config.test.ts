import { expect, test } from 'vitest'
import { z } from 'zod'
import { integer, parseConfig, sharedSettings } from './config.ts'

const schema = z.object({
  KAFKA_BROKERS: sharedSettings.KAFKA_BROKERS,
  LOG_LEVEL: sharedSettings.LOG_LEVEL,
  PORT: integer(0, 65_535, 8080),
})

test('settings are read, defaults fill in, empty counts as not set', () => {
  const config = parseConfig(schema, {
    KAFKA_BROKERS: 'a:1, b:2',
    PORT: '',
    LOG_LEVEL: 'debug',
    X: 'y',
  })
  expect(config).toEqual({ KAFKA_BROKERS: ['a:1', 'b:2'], PORT: 8080, LOG_LEVEL: 'debug' })
  expect(parseConfig(schema, { KAFKA_BROKERS: 'a:1', PORT: '9' }).PORT).toBe(9)
})

test('every problem is told at once, by the name of its variable', () => {
  const wrong = { PORT: '70000', LOG_LEVEL: 'loud' }
  expect(() => parseConfig(schema, wrong)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID' }) as Error,
  )
  for (const name of ['KAFKA_BROKERS: comma-separated', 'LOG_LEVEL: ', 'PORT: ']) {
    expect(() => parseConfig(schema, wrong)).toThrow(name)
  }
})

test.each(['-1', '1.5', 'abc', 'NaN', 'Infinity', '11', '9e99'])(
  '%s is no whole number within bounds',
  (text) => {
    expect(() => parseConfig(z.object({ N: integer(0, 10, 1) }), { N: text })).toThrow(
      /:\n {2}N: a whole number from 0 to 10$/,
    )
  },
)

test.each(['bad topic', 'a/b', '.', '..', 'x'.repeat(242)])('%j is no name of a topic', (text) => {
  const { COUNTERSINK_TOPIC } = sharedSettings
  const topic = z.object({ COUNTERSINK_TOPIC })
  expect(() => parseConfig(topic, { COUNTERSINK_TOPIC: text })).toThrow(
    'COUNTERSINK_TOPIC: a topic',
  )
})

test('a database is named by a postgres:// URL', () => {
  const { DATABASE_URL } = sharedSettings
  const database = z.object({ DATABASE_URL })
  for (const url of ['postgres://a:b@c/d', 'postgresql://c:5432/d']) {
    expect(parseConfig(database, { DATABASE_URL: url })).toEqual({ DATABASE_URL: url })
  }
  for (const url of ['mysql://a/b', 'localhost:5432', undefined]) {
    expect(() => parseConfig(database, { DATABASE_URL: url })).toThrow('DATABASE_URL: postgres://')
  }
})

test.each(['a', 'a:', ':1', 'a:1,', 'a:1,,b:2', 'a:x', 'a b:1'])('%j are no brokers', (text) => {
  expect(() => parseConfig(schema, { KAFKA_BROKERS: text })).toThrow('KAFKA_BROKERS: ')
})

test('brokers may be IPv6', () => {
  expect(parseConfig(schema, { KAFKA_BROKERS: '[::1]:9092' }).KAFKA_BROKERS).toEqual(['[::1]:9092'])
})
