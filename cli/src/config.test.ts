import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collectSettings, requireBrokers, requireSetting } from './config.ts'

let directory: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersink-config-'))
  mkdirSync(join(directory, 'project', '.countersink'), { recursive: true })
  mkdirSync(join(directory, 'project', 'deep', 'down'), { recursive: true })
  mkdirSync(join(directory, 'empty'))
  writeFileSync(
    join(directory, 'project', '.countersink', 'local.env'),
    'export KAFKA_BROKERS="127.0.0.1:1"\nCOUNTERSINK_API=http://127.0.0.1:2\nOTHER=x\n',
  )
})

afterAll(() => rmSync(directory, { recursive: true }))

const project = (): string => join(directory, 'project')

describe('collectSettings', () => {
  it('finds the local stack from a folder below it', () => {
    const settings = collectSettings({}, {}, join(project(), 'deep', 'down'))
    expect(requireBrokers(settings)).toEqual(['127.0.0.1:1'])
    expect(requireSetting(settings, 'COUNTERSINK_API')).toBe('http://127.0.0.1:2')
    expect(requireSetting(settings, 'COUNTERSINK_TOPIC')).toBe('countersink.events')
  })

  it('prefers the environment, and ignores empty variables', () => {
    const environment = { KAFKA_BROKERS: 'a:1, b:2', COUNTERSINK_API: '' }
    const settings = collectSettings({}, environment, project())
    expect(requireBrokers(settings)).toEqual(['a:1', 'b:2'])
    expect(settings.get('COUNTERSINK_API')?.value).toBe('http://127.0.0.1:2')
  })

  it('prefers a data directory that was named over the environment', () => {
    const environment = { KAFKA_BROKERS: 'a:1' }
    for (const dataDir of ['project', join('project', '.countersink')]) {
      const settings = collectSettings({ dataDir }, environment, directory)
      expect(requireBrokers(settings)).toEqual(['127.0.0.1:1'])
    }
  })

  it('says what to do when a data directory holds no stack or a setting is missing', () => {
    expect(() => collectSettings({ dataDir: 'empty' }, {}, directory)).toThrow(/npm start/)
    const settings = collectSettings({}, {}, join(directory, 'empty'))
    expect(() => requireSetting(settings, 'DATABASE_URL')).toThrow(/DATABASE_URL.*--data-dir/s)
  })
})
