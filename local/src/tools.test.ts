import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findJava, findOnPath, missingTools, parseJavaVersion } from './tools.ts'

async function withProgram(name: string, script: string, work: (dir: string) => Promise<void>) {
  const dir = await mkdtemp(join(tmpdir(), 'countersink-tools-'))
  try {
    await writeFile(join(dir, name), `#!/bin/sh\n${script}\n`)
    await chmod(join(dir, name), 0o755)
    await work(dir)
  } finally {
    await rm(dir, { recursive: true })
  }
}

test('java -version is understood in its old and its new style', () => {
  expect(parseJavaVersion('openjdk version "17.0.15" 2025-04-15\nOpenJDK …')).toBe('17.0.15')
  expect(parseJavaVersion('java version "1.8.0_202"')).toBe('8.0_202')
  expect(parseJavaVersion('openjdk version "24" 2025-03-18')).toBe('24')
  expect(parseJavaVersion('command not found')).toBeUndefined()
})

test('a Java that is too old is no Java', async () => {
  await withProgram('java', `echo 'openjdk version "11.0.2" 2019' >&2`, async (dir) => {
    expect(await findJava({ PATH: dir })).toBeUndefined()
  })
  await withProgram('java', `echo 'openjdk version "21.0.2" 2024' >&2`, async (dir) => {
    expect(await findJava({ PATH: dir })).toEqual({ path: join(dir, 'java'), version: '21.0.2' })
  })
})

test('only what can be executed counts as a program', async () => {
  await withProgram('mvn', 'exit 0', async (dir) => {
    expect(findOnPath('mvn', { PATH: `/nowhere:${dir}` })).toBe(join(dir, 'mvn'))
    await chmod(join(dir, 'mvn'), 0o644)
    expect(findOnPath('mvn', { PATH: dir })).toBeUndefined()
    expect(findOnPath('mvn', {})).toBeUndefined()
  })
})

test('a missing tool is named together with how to get it', () => {
  const { message } = missingTools(['java', 'mvn'], 'Kafka cannot start.')
  expect(message).toMatch(/Java 17 or newer is missing.*apt-get install openjdk-17/)
  expect(message).toMatch(/mvn is missing.*apt-get install maven/)
})
