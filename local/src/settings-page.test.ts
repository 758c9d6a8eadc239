import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PROJECT_ROOT } from './paths.ts'

const PAGE = 'docs/settings.md'
const CONFIGS = [
  'shared/src/config.ts',
  'aggregator/src/config.ts',
  'query-api/src/config.ts',
  'producer/src/gateway-config.ts',
]

function source(path: string): string {
  return readFileSync(join(PROJECT_ROOT, path), 'utf8')
}

function namesIn(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, name = '']) => name))].toSorted()
}

/** What the first cells of the page's tables name. */
function rows(pattern: RegExp): string[] {
  const cells = namesIn(source(PAGE), /^\| (`[^|]+`) \|/gm)
  return namesIn(cells.join('\n'), pattern)
}

test('docs/settings.md has a row for each variable that a service reads, and for no other', () => {
  const read = namesIn(CONFIGS.map(source).join('\n'), /^ {2,4}([A-Z][A-Z_]+): /gm)
  expect(read).toContain('COUNTERSINK_HOT_KEY_SHARE')
  expect(rows(/`([A-Z][A-Z_]+)`/g)).toEqual(read)
})

test('docs/settings.md has a row for each field of a contract, and for no other', () => {
  const [, schema = ''] =
    /contractFields = z\.strictObject\(\{(.+?)^\}\)/ms.exec(source('shared/src/contracts.ts')) ?? []
  const fields = namesIn(schema, /^ {2}(\w+): /gm)
  expect(fields).toContain('combine')
  expect(rows(/`([a-z]\w+)`/g)).toEqual(fields)
})
