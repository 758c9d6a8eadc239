import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { SumCheck } from '../load-oracle.ts'
import { COUNTER } from '../loads.ts'
import { diskUsage } from './disk-usage.ts'
import { buildJava, type JavaPeer, javaProgram } from './java-program.ts'
import { runReported } from './reported-run.ts'
import type { Side, SideContext, SideRun, StoredBytes } from './side.ts'

const PEER: JavaPeer = {
  name: 'kafka-streams-peer',
  goals: ['package', 'dependency:copy-dependencies', '-DoutputDirectory=target/libs'],
  options: ['-Xmx4g'],
}
const THREADS = 2
const SERIES_PREFIX = `${COUNTER}/`

/** Its own topics have this at their start. */
const APPLICATION_PREFIX = 'peer-'

/** Kafka Streams with exactly_once_v2 and de-duplication, its sums in its own stores. */
export const kafkaStreams: Side = {
  name: 'kafka-streams',
  title: 'Kafka Streams 4.3.1, exactly_once_v2, dedup, 2 threads',
  encoding: 'json',
  eventsPerSecondGuess: 55_000,
  prepare: () => buildJava(PEER),
  run,
}

async function run({ servers, run: name, load, warm }: SideContext): Promise<SideRun> {
  const dump = join(servers.dir, `${name}.tsv`)
  const state = join(servers.dir, name)
  const args = [servers.brokers, load.topic, load.events, THREADS, 'exactly_once_v2', 'on', state]
  const more = [dump, load.oracle.windowMs, warm.topic, warm.events]
  const program = javaProgram(PEER, [...args, ...more].map(String))
  const stored: StoredBytes = {}
  const reported = await runReported(servers, program, load.events, async () => {
    stored['state stores'] = await diskUsage(state)
    stored['its topics'] = await ownTopicBytes(join(servers.dir, 'kafka', 'data'))
  })
  await checkDump(dump, new SumCheck(load.oracle, 'Kafka Streams'))
  return { ...reported, stored }
}

async function ownTopicBytes(logs: string): Promise<number> {
  const own = (await readdir(logs)).filter((name) => name.startsWith(APPLICATION_PREFIX))
  const sizes = await Promise.all(own.map((name) => diskUsage(join(logs, name))))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Key and total, or key, start of the window and sum, on each line. */
async function checkDump(file: string, check: SumCheck): Promise<void> {
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const [series = '', second = '', third] = line.split('\t')
    const key = series.slice(SERIES_PREFIX.length)
    if (third === undefined) check.total(key, Number(second))
    else check.window(key, Number(second), Number(third))
  }
  check.finish()
}
