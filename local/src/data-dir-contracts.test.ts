import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readContracts } from '@countersink/shared/contracts'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { stackConfig } from './config.ts'
import { dataDirContracts } from './data-dir-contracts.ts'
import { DEMO_CONTRACTS } from './demo.ts'
import { dataPaths, type DataPaths } from './paths.ts'

let dir: string
let paths: DataPaths
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'countersink-contracts-'))
  paths = dataPaths(dir)
})
afterEach(() => rmSync(dir, { recursive: true }))

const choose = (...args: string[]) => dataDirContracts(stackConfig(args, { INIT_CWD: dir }), paths)

test('a start without contracts counts under the default ones', () => {
  expect(choose('start')).toBeUndefined()
})

test('a demo brings its contracts into a new directory, and a later start keeps them', () => {
  expect(choose('demo')).toBe(paths.contracts)
  expect(readFileSync(paths.contracts)).toEqual(readFileSync(DEMO_CONTRACTS))
  mkdirSync(paths.postgres)
  expect(choose('start')).toBe(paths.contracts)
})

test('a directory that has counted under the default contracts stays with them in a demo', () => {
  mkdirSync(paths.postgres)
  expect(choose('demo')).toBeUndefined()
})

test('the user’s contracts come first', () => {
  expect(choose('demo', '--contracts', DEMO_CONTRACTS)).toBe(DEMO_CONTRACTS)
})

test('the demo’s contracts are valid and remember the whole sample', () => {
  const { counters } = readContracts(DEMO_CONTRACTS)
  expect([...counters.keys()]).toEqual(['file_changes', 'video_views', 'likes'])
  const SAMPLE_DAYS = 142
  expect(counters.get('file_changes')?.latenessMs).toBeGreaterThan(SAMPLE_DAYS * 86_400_000)
})
