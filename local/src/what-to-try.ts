import type { StackConfig } from './config.ts'
import { shownPath } from './paths.ts'

/** The addresses and a few commands, for somebody who sees this for the first time. */
export function whatToTry(config: StackConfig, localEnv: Record<string, string>): string {
  const { COUNTERSINK_API: api = '', COUNTERSINK_GATEWAY: gateway = '' } = localEnv
  const event = `{"id":"e1","counter":"video_views","key":"v_1","delta":1,"at":"'$(date -u +%FT%TZ)'"}`
  const envFile = shownPath(`${config.dataDir}/local.env`)
  // The command line finds the default place by itself.
  const settings = envFile === '.countersink/local.env' ? [] : [`    set -a; . ${envFile}; set +a`]
  return [
    '',
    `  API       ${api}/v1/counters     (description: ${api}/openapi.json)`,
    `  Gateway   ${gateway}/v1/events`,
    `  Settings  ${envFile}`,
    '',
    '  Try:',
    ...settings,
    `    curl -s ${gateway}/v1/events -H 'content-type: application/json' -d '${event}'`,
    `    npx countersink get video_views v_1`,
    `    npx countersink status`,
    `    npx countersink publish FILE.ndjson`,
    '',
    '  Ctrl-C stops everything; the data stay.',
    '',
  ].join('\n')
}
