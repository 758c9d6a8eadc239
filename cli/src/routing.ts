import type { RoutingVersion } from '@countersink/shared/routing-table'
import type { CommandContext } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { printable } from './printable.ts'
import { readRouter } from './routing-state.ts'
import { formatTable, plural } from './table.ts'

/** Shows which routing versions were told, and which one is in force. Changes nothing. */
export async function routing(
  { json }: { json: boolean },
  { settings, terminal }: CommandContext,
): Promise<ExitCode> {
  const router = await readRouter(settings)
  const now = Date.now()
  const { versions } = router
  const inForce = router.versionAt(now)?.version
  if (json) {
    terminal.printJson({
      versions: versions.map(({ version, effectiveAt, partitions, spreads, times }) => {
        const effective = new Date(effectiveAt).toISOString()
        const state = stateOf(version, inForce)
        return { version, effectiveAt: effective, state, partitions, spreads, ...times }
      }),
    })
    return EXIT.ok
  }
  const table = formatTable(
    [
      { title: 'version', align: 'right' },
      { title: 'for events from', align: 'left' },
      { title: 'state', align: 'left' },
      { title: 'partitions', align: 'right' },
      { title: 'spread', align: 'left' },
    ],
    versions.map((version) => [
      String(version.version),
      version.effectiveAt === 0 ? 'ever' : new Date(version.effectiveAt).toISOString(),
      stateOf(version.version, inForce),
      String(version.partitions),
      spreadsOf(version),
    ]),
  )
  table.forEach(terminal.print)
  return EXIT.ok
}

function stateOf(version: number, inForce: number | undefined): string {
  if (inForce === undefined || version < inForce) return 'past'
  return version === inForce ? 'in force' : 'coming'
}

const SPREADS_SHOWN = 5

function spreadsOf({ spreads }: RoutingVersion): string {
  if (spreads.length === 0) return '-'
  const shown = spreads
    .slice(0, SPREADS_SHOWN)
    .map(({ counter, key, ways }) => `${printable(counter)}/${printable(key ?? '*')} x${ways}`)
  const more = spreads.length - shown.length
  return [...shown, ...(more > 0 ? [plural(more, 'more key')] : [])].join(', ')
}
