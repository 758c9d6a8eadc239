import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = new URL('../', import.meta.url)
const INVARIANTS = 14

/** `file` "name of a test" in docs/SPEC.md. */
const REFERENCE = /^- `([^`]+\.test\.ts)` "(.+)"$/gm

test('docs/SPEC.md: every invariant has tests, and every test that it names is there', async () => {
  const spec = await readFile(new URL('docs/SPEC.md', ROOT), 'utf8')
  const sections = spec.split(/^## /m).slice(1)
  expect(sections.map((section) => section.split(' ', 1)[0])).toEqual(
    Array.from({ length: INVARIANTS }, (_, i) => `I${i + 1}`),
  )
  const missing: string[] = []
  for (const section of sections) {
    const references = [...section.matchAll(REFERENCE)]
    if (references.length === 0) missing.push(`no test: ${section.split('\n', 1)[0]}`)
    for (const [, file = '', name = ''] of references) {
      const source = await readFile(fileURLToPath(new URL(file, ROOT)), 'utf8').catch(() => '')
      if (!source.includes(name)) missing.push(`${file}: ${name}`)
    }
  }
  expect(missing).toEqual([])
})

test('docs/faults.md: every fault in the name of a test is there with its file, and no other', async () => {
  const named: string[] = []
  for (const file of await readdir(new URL('test/', ROOT))) {
    if (!file.endsWith('.test.ts') || file === 'spec.test.ts') continue
    const source = await readFile(new URL(`test/${file}`, ROOT), 'utf8')
    // What stands before the colon of a name, such as "F12, I4: ".
    for (const [, marks = ''] of source.matchAll(/['`"]((?:[IF]\d+, )*[IF]\d+): /g)) {
      for (const [fault] of marks.matchAll(/F\d+/g)) named.push(`${fault} test/${file}`)
    }
  }
  const page = await readFile(new URL('docs/faults.md', ROOT), 'utf8')
  const listed = [...page.matchAll(/^\| (F\d+) \|.*\| ([^|]+) \|$/gm)].flatMap(
    ([, fault = '', files = '']) =>
      [...files.matchAll(/`([^`]+)`/g)].map(([, file = '']) => `${fault} ${file}`),
  )
  expect(listed.length).toBeGreaterThan(0)
  expect(listed.toSorted()).toEqual([...new Set(named)].toSorted())
})
