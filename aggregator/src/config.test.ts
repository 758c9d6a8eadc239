import { expect, test } from 'vitest'
import { readConfig } from './config.ts'

const REQUIRED = { KAFKA_BROKERS: 'localhost:9092', DATABASE_URL: 'postgres://localhost' }

test('hashed ids have no bound but the one that is set', () => {
  expect(readConfig(REQUIRED).idsBytesMax).toBe(Infinity)
  expect(readConfig({ ...REQUIRED, COUNTERSINK_IDS_BYTES_MAX: '' }).idsBytesMax).toBe(Infinity)
  expect(readConfig({ ...REQUIRED, COUNTERSINK_IDS_BYTES_MAX: '4096' }).idsBytesMax).toBe(4096)
  expect(() => readConfig({ ...REQUIRED, COUNTERSINK_IDS_BYTES_MAX: '1023' })).toThrow(
    'COUNTERSINK_IDS_BYTES_MAX',
  )
})
