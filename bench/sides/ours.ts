import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { formatDuration } from '@countersink/shared/duration'
import { checkSums, firstLoadMs, untilCounted } from '../counted.ts'
import { withAggregator } from '../services.ts'
import { withClient } from '../servers.ts'
import type { Encoding } from '../topic-load.ts'
import { withCostMeter } from './costs.ts'
import { storedBytes } from './our-storage.ts'
import type { Side, SideContext, SideRun } from './side.ts'

/** One aggregator process, as `npm start` runs it. */
function ours(encoding: Encoding, title: string, eventsPerSecondGuess: number): Side {
  return {
    name: encoding === 'json' ? 'ours' : 'ours-packed',
    title,
    encoding,
    eventsPerSecondGuess,
    run,
  }
}

export const oursJson = ours('json', 'Countersink, JSON events', 600_000)
export const oursPacked = ours('packed', 'Countersink, packed records', 2_000_000)

async function run({ servers, run: name, load }: SideContext): Promise<SideRun> {
  const databaseUrl = await servers.makeDatabase(name, { migrated: true })
  const dir = join(servers.dir, name)
  await mkdir(dir)
  // What the peers are asked to do, too: one size of windows, and ids remembered through all of it.
  const size = formatDuration(load.oracle.windowMs)
  const lateness = `${Math.ceil(load.oracle.minutes / 60)}h`
  const contractsYaml = `defaults: { lateness: ${lateness}, windows: [${size}] }\n`
  const service = { ...servers, databaseUrl, topic: load.topic, dir, contractsYaml }
  try {
    return await withCostMeter(servers, (meter) => {
      // Its own start counts among its costs: afterwards a short run would be over before we look.
      return withAggregator({ ...service, onSpawn: meter.begin }, async (aggregator) => {
        const endMs = await untilCounted(databaseUrl, load)
        await meter.end()
        const costs = await meter.costs()
        const seconds = (endMs - (await firstLoadMs(aggregator))) / 1000
        await checkSums(databaseUrl, load)
        const stored = await withClient(databaseUrl, storedBytes)
        return { ...costs, ...stored, seconds, eventsPerSecond: load.events / seconds }
      })
    })
  } finally {
    await servers.dropDatabase(name)
  }
}
