import { join } from 'node:path'
import { expect, test } from 'vitest'
import { whatToTry } from './what-to-try.ts'

const localEnv = { COUNTERSINK_API: 'http://api', COUNTERSINK_GATEWAY: 'http://gateway' }

test('the default place needs no flag, another is named in every command', () => {
  const here = whatToTry(
    { command: 'start', dataDir: join(process.cwd(), '.countersink') },
    localEnv,
  )
  expect(here).toContain('  npx countersink get video_views v_1')
  expect(here).toContain('http://gateway/v1/events -H')
  const there = whatToTry({ command: 'demo', dataDir: '/elsewhere/data' }, localEnv)
  const commands = there.split('\n').filter((line) => line.includes('npx'))
  expect(commands.length).toBeGreaterThan(2)
  expect(commands.every((line) => line.includes('--data-dir /elsewhere/data'))).toBe(true)
})
