import { messageOf } from '@countersink/shared/errors'
import { type StatusAnswer, statusAnswer } from './api-answers.ts'
import { createApiClient } from './api-client.ts'
import { optionalSetting, type Settings } from './config.ts'
import type { Check } from './doctor.ts'
import { plural } from './table.ts'

const REQUEST_MS_MAX = 5000
const BODY_CHARS_MAX = 200

export async function apiChecks(settings: Settings, signal: AbortSignal): Promise<Check[]> {
  const base = optionalSetting(settings, 'COUNTERSINK_API')
  if (base === undefined) {
    return [notSet('api', 'COUNTERSINK_API', 'fail', 'Run `npm start`, or set it.')]
  }
  const health = await healthCheck('api', base, 'npm run query-api', signal)
  if (health.level === 'fail') return [health]
  try {
    const status = await createApiClient(base, signal).get('/v1/status', statusAnswer)
    return [health, countingCheck(status)]
  } catch (error) {
    return [health, { name: 'counting', level: 'fail', detail: messageOf(error) }]
  }
}

function countingCheck({ partitions }: StatusAnswer): Check {
  const halts = partitions.filter((p) => p.state === 'halted')
  const behind = partitions.filter((p) => p.state === 'catching-up').length
  const lag = partitions.reduce((sum, p) => sum + (p.lag ?? 0), 0)
  const detail = [
    plural(partitions.length, 'partition'),
    lag === 0 ? 'nothing behind' : `${plural(lag, 'record')} behind`,
    ...(behind > 0 ? [`${behind} catching up`] : []),
    ...(halts.length > 0 ? [`${halts.length} halted`] : []),
  ].join(', ')
  if (halts[0] !== undefined) {
    const fix =
      `\`countersink gap accept --partition ${halts[0].partition}\` says why and what can be decided; ` +
      '`countersink gap list` has all.'
    return { name: 'counting', level: 'fail', detail, fix }
  }
  return { name: 'counting', level: behind > 0 ? 'warn' : 'ok', detail }
}

export async function gatewayChecks(settings: Settings, signal: AbortSignal): Promise<Check[]> {
  const base = optionalSetting(settings, 'COUNTERSINK_GATEWAY')
  if (base === undefined) {
    return [notSet('gateway', 'COUNTERSINK_GATEWAY', 'ok', undefined)]
  }
  return [await healthCheck('gateway', base, 'npm run gateway', signal)]
}

function notSet(
  name: string,
  variable: string,
  level: Check['level'],
  fix: string | undefined,
): Check {
  const check: Check = { name, level, detail: `${variable} is not set` }
  return fix === undefined ? check : { ...check, fix }
}

async function healthCheck(
  name: string,
  base: string,
  start: string,
  signal: AbortSignal,
): Promise<Check> {
  const startedAt = performance.now()
  try {
    const response = await fetch(`${base.replace(/\/+$/, '')}/readyz`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS_MAX)]),
    })
    const body = await response.text()
    const ms = Math.round(performance.now() - startedAt)
    if (response.ok) return { name, level: 'ok', detail: `${base} is ready (${ms} ms)` }
    return {
      name,
      level: 'fail',
      detail: `${base} is not ready: ${response.status} ${body.slice(0, BODY_CHARS_MAX)}`,
      fix: 'It says above what it waits for; see its log.',
    }
  } catch {
    return {
      name,
      level: 'fail',
      detail: `${base} does not answer`,
      fix: `Start it (\`${start}\`, or \`npm start\` for all), or correct its address.`,
    }
  }
}
