import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stackConfig } from './config.ts'

let userDir: string
beforeAll(() => {
  userDir = mkdtempSync(join(tmpdir(), 'countersink-config-'))
})
afterAll(() => rmSync(userDir, { recursive: true }))

test('without flags everything has its place', () => {
  const config = stackConfig(['start'], { INIT_CWD: userDir })
  expect(config).toMatchObject({
    command: 'start',
    dataDir: join(process.cwd(), '.countersink'),
    portBase: 24_000,
    aggregatorCount: 1,
    partitions: 8,
    topic: 'countersink.events',
    contractsFile: undefined,
    kafkaBrokers: undefined,
    databaseUrl: undefined,
    withRedis: true,
  })
})

test('paths on the command line are the user’s, and counters.yaml beside them is found', () => {
  writeFileSync(join(userDir, 'counters.yaml'), '')
  const config = stackConfig(['demo', '--data-dir', 'data', '--aggregators', '2', '--no-redis'], {
    INIT_CWD: userDir,
  })
  expect(config).toMatchObject({
    command: 'demo',
    dataDir: join(userDir, 'data'),
    contractsFile: join(userDir, 'counters.yaml'),
    aggregatorCount: 2,
    withRedis: false,
  })
})

test('a part that is the user’s own is taken from the environment, empty means not set', () => {
  const own = stackConfig(['start'], {
    KAFKA_BROKERS: 'a:9092, b:9092',
    DATABASE_URL: 'postgres://there/db',
    REDIS_URL: '',
  })
  expect(own).toMatchObject({
    kafkaBrokers: ['a:9092', 'b:9092'],
    databaseUrl: 'postgres://there/db',
    redisUrl: undefined,
  })
})

test('a contracts file that is not valid is an error before anything starts', () => {
  const file = join(userDir, 'counters.yaml')
  writeFileSync(file, 'counters: { a: { latenes: 1h } }')
  expect(() => stackConfig(['start'], { INIT_CWD: userDir })).toThrow(`${file}: counters.a`)
})

test('a contracts file that is not there is an error that names it', () => {
  const start = () => stackConfig(['start', '--contracts', 'none.yaml'], { INIT_CWD: userDir })
  expect(start).toThrow(join(userDir, 'none.yaml'))
})
