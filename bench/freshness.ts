import { parseArgs } from 'node:util'
import { measureFreshness } from './freshness-run.ts'
import { writeResults } from './results.ts'
import { startServers } from './servers.ts'

const { values } = parseArgs({
  options: {
    /** Events per second, or `half`: half of the full speed, which is measured first. */
    rate: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '20' },
    runs: { type: 'string', default: '5' },
    packed: { type: 'boolean', default: false },
  },
})

/** From add() to visible through the API. */
async function main(): Promise<void> {
  const encoding = values.packed ? 'packed' : 'json'
  const servers = await startServers()
  try {
    const freshness = await measureFreshness({
      servers,
      name: 'freshness',
      encoding,
      rate: values.rate === 'half' ? 'half' : Number(values.rate),
      seconds: Number(values.seconds),
      runs: Number(values.runs),
      onRun: (text) => console.log(text),
    })
    writeResults(`freshness-${encoding}-${values.rate}`, freshness)
  } finally {
    await servers.stop()
  }
}

await main()
