import { execFile, spawn } from 'node:child_process'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { COUNTER, KEYS, keyName, type LoadOracle } from './loads.ts'
import type { TopicLoad } from './topic-load.ts'

const FOLDER = join(import.meta.dirname, 'kafka-streams-peer')
const SOURCE = join(FOLDER, 'src', 'main', 'java', 'peer', 'Peer.java')
const THREADS = 2
const BUILD_MS_MAX = 600_000

export type SideResult = { seconds: number; eventsPerSecond: number }

/** Builds the Kafka Streams peer with Maven unless it is built already and not changed since. */
export async function buildPeer(): Promise<void> {
  const jar = join(FOLDER, 'target', 'kafka-streams-peer-1.jar')
  if (existsSync(jar) && statSync(jar).mtimeMs > statSync(SOURCE).mtimeMs) return
  const args = ['-q', '-B', 'package', 'dependency:copy-dependencies']
  await promisify(execFile)('mvn', [...args, '-DoutputDirectory=target/libs'], {
    cwd: FOLDER,
    timeout: BUILD_MS_MAX,
  })
}

/**
 * Lets Kafka Streams count the topic with exactly_once_v2 and de-duplication, then compares every
 * total and window it has with the oracle's. Throws when one differs.
 */
export async function runPeer(brokers: string, load: TopicLoad, dir: string): Promise<SideResult> {
  const dump = join(dir, 'peer-sums.tsv')
  const events = load.ends.reduce((sum, end) => sum + end, 0)
  const settings = [brokers, load.topic, String(events), String(THREADS), 'exactly_once_v2', 'on']
  const classPath = [join('target', 'kafka-streams-peer-1.jar'), join('target', 'libs', '*')]
  const java = ['-Xmx4g', '-cp', classPath.join(':'), 'peer.Peer', ...settings]
  const line = await firstLine('java', [...java, join(dir, 'peer-state'), dump])
  const measured: unknown = JSON.parse(line)
  const field = (name: string): number => Number(Reflect.get(Object(measured), name))
  if (field('events') !== events) throw new Error(`the peer saw ${field('events')} of ${events}`)
  await checkDump(dump, load.oracle)
  return { seconds: field('seconds'), eventsPerSecond: field('rate') }
}

async function firstLine(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { cwd: FOLDER, stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  if (code !== 0) throw new Error(`the peer ended with ${String(code)}: ${output}`)
  return output.split('\n')[0] ?? ''
}

async function checkDump(file: string, oracle: LoadOracle): Promise<void> {
  const numbers = new Map(
    Array.from({ length: KEYS }, (_, key) => [`${COUNTER}/${keyName(key)}`, key]),
  )
  const found = { keys: 0, windows: 0 }
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const cells = line.split('\t')
    const key = numbers.get(cells[0] ?? '') ?? -1
    const sum = Number(cells.at(-1))
    const isTotal = cells.length === 2
    const right = isTotal ? oracle.total(key) : oracle.window(key, Number(cells[1]))
    if (sum !== right) throw new Error(`the peer is wrong: ${line}, not ${right}`)
    if (isTotal) found.keys++
    else found.windows++
  }
  const expected = oracle.counts()
  if (found.keys !== expected.keys || found.windows !== expected.windows) {
    throw new Error(`the peer has ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`)
  }
}
