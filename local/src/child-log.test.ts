import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { boundLogs, fatalMessage, tailOf } from './child-log.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'countersink-log-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

test('the tail begins with a whole line', () => {
  const log = join(dir, 'a.log')
  writeFileSync(log, 'first line\nsecond line\nthird line\n')
  expect(tailOf(log, 15)).toBe('third line\n')
  expect(tailOf(log, 1000)).toBe('first line\nsecond line\nthird line\n')
  expect(tailOf(log, 1000, 'first line\n'.length)).toBe('second line\nthird line\n')
  expect(tailOf(log, 15, 'first line\n'.length)).toBe('third line\n')
  expect(tailOf(log, 1000, 100_000)).toBe('first line\nsecond line\nthird line\n')
  expect(tailOf(join(dir, 'none.log'), 1000)).toBe('')
})

test('a log that grew too large is set aside, one that did not stays', () => {
  const [large, small] = [join(dir, 'large.log'), join(dir, 'small.log')]
  writeFileSync(large, 'x'.repeat(101))
  writeFileSync(small, 'x'.repeat(100))
  boundLogs(dir, 100)
  expect(statSync(large).size).toBe(0)
  expect(readFileSync(`${large}.1`, 'utf8')).toHaveLength(101)
  expect(statSync(small).size).toBe(100)
  appendFileSync(large, 'y'.repeat(102))
  boundLogs(dir, 100)
  expect(readFileSync(`${large}.1`, 'utf8')).toBe('y'.repeat(102))
})

test('why a service ended is the message of the last fatal line of its log', () => {
  const line = (level: string, msg: string): string =>
    `${JSON.stringify({ level, code: 'X', msg })}\n`
  const log = line('fatal', 'of before') + line('fatal', 'a "b"\u001b[31m\n') + line('info', 'bye')
  expect(fatalMessage(log)).toBe('a "b" [31m ')
  expect(fatalMessage(line('error', 'x') + 'no JSON\n')).toBeUndefined()
})
