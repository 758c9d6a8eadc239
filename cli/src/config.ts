import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type Environment } from '@countersink/shared/config'
import { CountersinkError } from '@countersink/shared/errors'

const NAMES = [
  'KAFKA_BROKERS',
  'DATABASE_URL',
  'COUNTERSINK_TOPIC',
  'COUNTERSINK_API',
  'COUNTERSINK_GATEWAY',
  'COUNTERSINK_CONTRACTS',
] as const

export type SettingName = (typeof NAMES)[number]
type Setting = { value: string; from: string }
export type Settings = ReadonlyMap<SettingName, Setting>

const TOPIC_DEFAULT = 'countersink.events'
const LOCAL_FILES = ['local.env', join('.countersink', 'local.env')]

export type SettingsOptions = { dataDir?: string | undefined }

/** Set when the person asked for a data directory and not to be overruled by an environment. */
export function readSettings(options: SettingsOptions): Settings {
  return collectSettings(options, process.env, process.cwd())
}

/**
 * Each setting comes from the environment, else from the `local.env` that a local stack wrote:
 * that of `--data-dir`, else the nearest `.countersink/` from the current directory upwards.
 * A data directory that was named wins over the environment: it says which stack is meant.
 */
export function collectSettings(
  options: SettingsOptions,
  environment: Environment,
  directory: string,
): Settings {
  const local = localSettings(options, directory)
  const settings = new Map<SettingName, Setting>()
  for (const name of NAMES) {
    const value = environment[name]
    const own: Setting | undefined =
      value === undefined || value.trim() === ''
        ? undefined
        : { value: value.trim(), from: 'the environment' }
    const filed = local?.get(name)
    const setting = options.dataDir === undefined ? (own ?? filed) : (filed ?? own)
    if (setting !== undefined) settings.set(name, setting)
  }
  if (!settings.has('COUNTERSINK_TOPIC')) {
    settings.set('COUNTERSINK_TOPIC', { value: TOPIC_DEFAULT, from: 'the default' })
  }
  return settings
}

function localSettings(
  options: SettingsOptions,
  directory: string,
): Map<SettingName, Setting> | undefined {
  if (options.dataDir === undefined) return nearestLocalSettings(directory)
  for (const file of LOCAL_FILES) {
    const found = readLocalFile(resolve(directory, options.dataDir, file))
    if (found !== undefined) return found
  }
  throw new CountersinkError(
    'CONFIG_INVALID',
    `no stack has written its local.env in ${options.dataDir}: ` +
      `start one with \`npm start -- --data-dir ${options.dataDir}\``,
  )
}

function nearestLocalSettings(directory: string): Map<SettingName, Setting> | undefined {
  for (let folder = directory; ; folder = dirname(folder)) {
    const found = readLocalFile(join(folder, '.countersink', 'local.env'))
    if (found !== undefined || dirname(folder) === folder) return found
  }
}

function readLocalFile(path: string): Map<SettingName, Setting> | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  const settings = new Map<SettingName, Setting>()
  for (const line of text.split(/\r?\n/)) {
    const m = /^(?:export\s+)?([A-Z_]+)=(?:"(.*)"|'(.*)'|(.*))$/.exec(line.trim())
    const name = NAMES.find((known) => known === m?.[1])
    const value = m?.[2] ?? m?.[3] ?? m?.[4] ?? ''
    if (name !== undefined && value !== '') settings.set(name, { value, from: path })
  }
  return settings
}

const MEANINGS: Record<SettingName, string> = {
  KAFKA_BROKERS: 'the Kafka brokers as host:port, with commas between them',
  DATABASE_URL: 'the postgres:// URL of the database',
  COUNTERSINK_TOPIC: 'the topic of the events',
  COUNTERSINK_API: 'the http:// URL of the query API',
  COUNTERSINK_GATEWAY: 'the http:// URL of the gateway',
  COUNTERSINK_CONTRACTS: 'the path of counters.yaml',
}

/** Throws CONFIG_INVALID that says how to set what is missing. */
export function requireSetting(settings: Settings, name: SettingName): string {
  const setting = settings.get(name)
  if (setting !== undefined) return setting.value
  throw new CountersinkError(
    'CONFIG_INVALID',
    `${name} is not set (${MEANINGS[name]}).\n` +
      'Run `npm start` in this directory for a local stack, name the data directory of one with\n' +
      `--data-dir DIR, or set ${name} in the environment.`,
  )
}

export function optionalSetting(settings: Settings, name: SettingName): string | undefined {
  return settings.get(name)?.value
}

export function requireBrokers(settings: Settings): string[] {
  const brokers = requireSetting(settings, 'KAFKA_BROKERS')
  return brokers.split(',').map((broker) => broker.trim())
}

export function requireTopic(settings: Settings): string {
  return requireSetting(settings, 'COUNTERSINK_TOPIC')
}
