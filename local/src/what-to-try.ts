import type { StackConfig } from './config.ts'
import { shownPath } from './paths.ts'

/** How a person calls the command line of the stack in `dataDir`; it finds the default one itself. */
export function commandLine(dataDir: string): string {
  const shown = shownPath(dataDir)
  return `npx countersink${shown === '.countersink' ? '' : ` --data-dir ${shown}`}`
}

/** The addresses and a few commands, for somebody who sees this for the first time. */
export function whatToTry(
  config: Pick<StackConfig, 'command' | 'dataDir'>,
  localEnv: Readonly<Record<string, string>>,
): string {
  const { COUNTERSINK_API: api = '', COUNTERSINK_GATEWAY: gateway = '' } = localEnv
  const dataDir = shownPath(config.dataDir)
  const cli = commandLine(config.dataDir)
  return [
    '',
    `  API       ${api}/v1/counters   (described in ${api}/openapi.json)`,
    `  Gateway   ${gateway}/v1/events`,
    `  Settings  ${dataDir}/local.env`,
    '',
    '  Try:',
    ...(config.command === 'demo' ? demoCommands(cli, api) : firstCommands(cli, gateway)),
    `    ${cli} status`,
    '',
    '  Ctrl-C stops everything; the data stay.',
    '',
  ].join('\n')
}

function demoCommands(cli: string, api: string): string[] {
  return [
    `    ${cli} get file_changes core/src`,
    `    ${cli} windows file_changes core/src --step 1d --from 2024-10-01 --to 2024-10-25`,
    `    ${cli} get video_views v_0`,
    `    curl '${api}/v1/counters/video_views/keys/v_0?dims.country=de'`,
  ]
}

function firstCommands(cli: string, gateway: string): string[] {
  const event = `{"id":"e1","counter":"video_views","key":"v_1","at":"'$(date -u +%FT%TZ)'"}`
  return [
    `    curl ${gateway}/v1/events -H 'content-type: application/json' -d '${event}'`,
    `    ${cli} get video_views v_1`,
    `    ${cli} publish FILE.ndjson`,
  ]
}
