import { readContracts } from '@countersink/shared/contracts'
import { messageOf } from '@countersink/shared/errors'
import { optionalSetting, type Settings } from './config.ts'
import type { Check } from './doctor.ts'
import { plural } from './table.ts'

/** This machine: its Node, the settings and where they come from, the contracts' file. */
export function machineChecks(settings: Settings): Promise<Check[]> {
  const places = new Map<string, string[]>()
  for (const [name, { from }] of settings) places.set(from, [...(places.get(from) ?? []), name])
  const sources = [...places].map(([from, names]) => `${names.join(', ')} from ${from}`)
  return Promise.resolve([
    { name: 'node', level: 'ok', detail: `Node ${process.versions.node}` },
    { name: 'settings', level: 'ok', detail: sources.join('; ') },
    contractsCheck(settings),
  ])
}

function contractsCheck(settings: Settings): Check {
  const path = optionalSetting(settings, 'COUNTERSINK_CONTRACTS')
  if (path === undefined) {
    return { name: 'contracts', level: 'ok', detail: 'no file named: the default contract' }
  }
  try {
    const { counters, fallback } = readContracts(path)
    const unknown = fallback === undefined ? 'others are rejected' : 'others count by the defaults'
    return {
      name: 'contracts',
      level: 'ok',
      detail: `${path}: ${plural(counters.size, 'counter')}, ${unknown}`,
    }
  } catch (error) {
    return {
      name: 'contracts',
      level: 'fail',
      detail: messageOf(error),
      fix: `Correct ${path}; aggregators refuse to start with it.`,
    }
  }
}
