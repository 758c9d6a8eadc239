import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CountersinkError } from './errors.ts'
import {
  contractOf,
  contractsFromJson,
  contractsToJson,
  DEFAULT_CONTRACT,
  parseContracts,
  readContracts,
  replayReasons,
} from './contracts.ts'

test.each(['', '{}', '# only a comment', 'counters:', 'counters: {}', 'defaults: {}'])(
  'a file of %j counts everything under the default contract',
  (text) => {
    const contracts = parseContracts(text)
    expect(contracts).toEqual({ counters: new Map(), fallback: DEFAULT_CONTRACT })
    expect(contractOf(contracts, 'anything')).toBe(contracts.fallback)
  },
)

const FILE = `
defaults:
  lateness: 6h
  windows: [1h, 1m]
unknownCounters: reject
counters:
  video_views:
    deltas: positive
    maxDelta: 1000
    breakdowns: [[device, country], [country]]
  plays:
  bytes:
    kind: sum
    lateness: 7d
    windows: [10s, 1m]
    deltas: signed
    misrouted: reject
    maxSeriesPerPartition: 10
`

test('a contract takes what it leaves out from the defaults', () => {
  const contracts = parseContracts(FILE)
  expect(contractOf(contracts, 'video_views')).toEqual({
    ...DEFAULT_CONTRACT,
    latenessMs: 6 * 3_600_000,
    windowSizesMs: [60_000, 3_600_000],
    positiveOnly: true,
    deltaMax: 1000,
    breakdowns: [['country', 'device'], ['country']],
  })
  expect(contractOf(contracts, 'plays')).toEqual({
    ...DEFAULT_CONTRACT,
    latenessMs: 6 * 3_600_000,
    windowSizesMs: [60_000, 3_600_000],
  })
  expect(contractOf(contracts, 'bytes')).toEqual({
    ...DEFAULT_CONTRACT,
    latenessMs: 7 * 86_400_000,
    windowSizesMs: [10_000, 60_000],
    rejectMisrouted: true,
    seriesMax: 10,
  })
  expect(contractOf(contracts, 'unknown')).toBeUndefined()
})

test('counters may be named like anything an object inherits', () => {
  const contracts = parseContracts('counters: {__proto__: {maxDelta: 1}, toString: {maxDelta: 2}}')
  expect(contractOf(contracts, '__proto__')?.deltaMax).toBe(1)
  expect(contractOf(contracts, 'toString')?.deltaMax).toBe(2)
  expect(contractOf(contracts, 'constructor')).toBe(contracts.fallback)
  expect(contractsFromJson(contractsToJson(contracts))).toEqual(contracts)
})

test.each([
  ['a: [', 'not YAML'],
  ['- a', 'file: '],
  ['text', 'file: '],
  ['unknown: 1', 'Unrecognized key: "unknown"'],
  ['counters: {a: {b: 1}}', 'counters.a: Unrecognized key: "b"'],
  ['counters: [a]', 'counters: must be a mapping'],
  ['counters: {a: 1}', 'counters.a: '],
  ['counters: {a: {}, a: {}}', 'not YAML'],
  ['counters: {" ": {}}', 'no event can have this counter'],
  [`counters: {${'x'.repeat(129)}: {}}`, 'no event can have this counter'],
  ['counters: {a: {kind: set}}', 'counters.a.kind: '],
  ['counters: {a: {lateness: 1}}', 'counters.a.lateness: '],
  ['counters: {a: {lateness: 1 day}}', 'counters.a.lateness: "1 day" is no duration'],
  ['defaults: {lateness: 999ms}', 'defaults.lateness: is under 1s'],
  ['counters: {a: {windows: []}}', 'counters.a.windows: '],
  ['counters: {a: {windows: [1m, 90s]}}', 'counters.a.windows: each must be a multiple'],
  ['counters: {a: {windows: [1500ms, 3s]}}', 'counters.a.windows: each must be whole seconds'],
  ['counters: {a: {combine: 1}}', 'counters.a.combine: '],
  ['counters: {a: {windows: [500ms]}}', 'counters.a.windows: the finest is under 1s'],
  [`counters: {a: {windows: [${'1m,'.repeat(9)}]}}`, 'counters.a.windows: '],
  ['counters: {a: {maxDelta: 0}}', 'counters.a.maxDelta: '],
  ['counters: {a: {maxDelta: 9007199254740992}}', 'counters.a.maxDelta: '],
  ['counters: {a: {maxDelta: 1.5}}', 'counters.a.maxDelta: '],
  ['counters: {a: {breakdowns: [[]]}}', 'counters.a.breakdowns.0: '],
  ['counters: {a: {breakdowns: [[x, x]]}}', 'the same dim twice'],
  ['counters: {a: {breakdowns: [[x, y], [y, x]]}}', 'the same breakdown twice'],
  ['counters: {a: {breakdowns: [[a, b, c, d, e]]}}', 'counters.a.breakdowns.0: '],
  ['counters: {a: {maxSeriesPerPartition: 5000001}}', 'counters.a.maxSeriesPerPartition: '],
])('%s is refused: %s', (text, problem) => {
  expect(() => parseContracts(text)).toThrow(
    expect.objectContaining({
      code: 'CONTRACT_INVALID',
      message: expect.stringContaining(problem) as string,
    }) as Error,
  )
})

test('all problems are told at once', () => {
  const text = 'defaults: {deltas: odd}\ncounters: {a: {maxDelta: -1}, b: {windows: [1m, 90s]}}'
  for (const place of ['defaults.deltas: ', 'counters.a.maxDelta: ', 'counters.b.windows: ']) {
    expect(() => parseContracts(text)).toThrow(place)
  }
})

test('what is wrong with a file is said with its name', () => {
  const dir = mkdtempSync(join(tmpdir(), 'countersink-contracts-'))
  const path = join(dir, 'counters.yaml')
  for (const text of ['counters: { a: { latenes: 1h } }', 'counters: {']) {
    writeFileSync(path, text)
    expect(() => readContracts(path)).toThrow(`${path}: `)
  }
  rmSync(dir, { recursive: true })
})

test('a file that cannot be read says so', () => {
  expect(() => readContracts('/nonexistent/counters.yaml')).toThrow('cannot read the contracts')
  expect(readContracts(undefined).fallback).toEqual(DEFAULT_CONTRACT)
})

test('equal contracts have one text, whatever the order in the file', () => {
  const a = parseContracts('counters: {a: {windows: [1h, 1m], breakdowns: [[x], [z, y]]}, b: {}}')
  const b = parseContracts('counters: {b: , a: {breakdowns: [[y, z], [x]], windows: [1m, 1h, 1m]}}')
  expect(contractsToJson(a)).toBe(contractsToJson(b))
  expect(contractsToJson(a)).not.toBe(contractsToJson(parseContracts('')))
  expect(contractsFromJson(contractsToJson(a))).toEqual(
    contractsFromJson(
      contractsToJson(
        parseContracts('counters: {a: {windows: [1m, 1h], breakdowns: [[x], [y, z]]}, b: }'),
      ),
    ),
  )
  const strict = parseContracts('unknownCounters: reject')
  expect(contractsFromJson(contractsToJson(strict))).toEqual(strict)
})

test('a contract can forbid combining; what is stored of it does not change by that', () => {
  const contracts = parseContracts(
    'defaults: {combine: false}\ncounters: {a: {combine: true}, b: }',
  )
  expect(contractOf(contracts, 'a')).toEqual(DEFAULT_CONTRACT)
  expect(contractOf(contracts, 'b')?.combine).toBe(false)
  expect(contracts.fallback?.combine).toBe(false)
  expect(contractsToJson(contracts)).toBe(contractsToJson(parseContracts('counters: {a: , b: }')))
})

test('any text gives contracts or CONTRACT_INVALID', () => {
  const near = fc.array(
    fc.constantFrom(
      'counters: ',
      'a: ',
      '{',
      '}',
      '[',
      ']',
      'lateness: ',
      '1h',
      '\n',
      '  ',
      '- ',
      '&x ',
      '*x',
      '"',
      '!!map',
      '<<: ',
    ),
    { maxLength: 12 },
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        near.map((parts) => parts.join('')),
      ),
      (text) => {
        expect(['parsed', 'CONTRACT_INVALID']).toContain(attempt(text))
      },
    ),
    { numRuns: 500 },
  )
})

function attempt(text: string): string {
  try {
    parseContracts(text)
    return 'parsed'
  } catch (error) {
    return error instanceof CountersinkError ? error.code : String(error)
  }
}

test.each([
  ['', 'counters: {a: {lateness: 1h}}', []],
  ['', 'counters: {a: {deltas: positive, maxDelta: 5, breakdowns: [[x]]}}', []],
  ['', 'counters: {a: {lateness: 48h}}', ['a: lateness grows']],
  ['defaults: {lateness: 1h}', '', ['defaults: lateness grows']],
  ['counters: {a: {windows: [1m]}}', '', ['a: windows change']],
  ['', 'defaults: {windows: [10s]}', ['defaults: windows change']],
  ['unknownCounters: reject', 'counters: {a: {lateness: 900d}}', []],
  ['', 'unknownCounters: reject', []],
])('from %j to %j needs a replay for %j', (before, after, reasons) => {
  expect(replayReasons(parseContracts(before), parseContracts(after))).toEqual(reasons)
})

test.each([
  ['counters: {a: {windows: [5m]}}', 'unknownCounters: reject', ['a: windows change']],
  ['counters: {b: {windows: [5m]}}', 'unknownCounters: reject', []],
  ['defaults: {windows: [5m]}', 'unknownCounters: reject', ['a: windows change']],
  ['counters: {a: {lateness: 9d}}', 'unknownCounters: reject', []],
  ['unknownCounters: reject', 'counters: {a: {lateness: 9d}}', ['a: lateness grows']],
  ['unknownCounters: reject', 'counters: {a: {windows: [5m]}}', ['a: windows change']],
  ['unknownCounters: reject', '{unknownCounters: reject, counters: {b: {lateness: 9d}}}', []],
  ['unknownCounters: reject', '', []],
])('what was counted of a stays right from %j to %j: %j', (before, after, reasons) => {
  expect(replayReasons(parseContracts(before), parseContracts(after), ['a'])).toEqual(reasons)
})
