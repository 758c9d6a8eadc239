import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { processEnvironment } from '@countersink/local/config'
import { ensureKafkaDistribution } from '@countersink/local/kafka-distribution'
import { findJava } from '@countersink/local/tools'

type ForeignRecord = {
  topic: string
  partition: number
  key: string | Buffer | null
  value: string | Buffer | null
  headers?: Record<string, string | Buffer>
}

/** Kafka's own Java producer (test/java/ForeignProducer.java), to write as others do. */
export type ForeignProducer = {
  /** A producer with settings of its own, for example { 'compression.type': 'snappy' }. */
  create(name: string, settings?: Record<string, string>): Promise<void>
  begin(name: string): Promise<void>
  /** Hands the record over; it is in the log after flush or commit. */
  send(name: string, record: ForeignRecord): Promise<void>
  /** Both give `partition:offset` of what was sent since the last of them. */
  flush(name: string): Promise<string[]>
  commit(name: string): Promise<string[]>
  abort(name: string): Promise<void>
  /** Leaves an open transaction open, as a crash does. */
  close(name: string): Promise<void>
  stop(): Promise<void>
}

/** Needs Java and the broker's jars, which the local stack has or gets. */
export async function startForeignProducer(brokers: string): Promise<ForeignProducer> {
  const environment = processEnvironment()
  const java = await findJava(environment)
  if (java === undefined) throw new Error('the foreign producer needs Java 17 or later')
  const jars = await ensureKafkaDistribution(environment, (line) => console.error(line))
  const program = join(import.meta.dirname, 'java', 'ForeignProducer.java')
  const quick = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Dlog4j2.level=OFF']
  const child = spawn(java.path, [...quick, '-cp', join(jars, '*'), program, brokers], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: environment,
  })
  const waiting: PromiseWithResolvers<string>[] = []
  createInterface(child.stdout).on('line', (line) => waiting.shift()?.resolve(line))
  const ended = once(child, 'exit')
  void ended.then(() => {
    for (const one of waiting.splice(0)) one.reject(new Error('the foreign producer ended'))
  })

  async function run(...words: string[]): Promise<string[]> {
    const answer = Promise.withResolvers<string>()
    waiting.push(answer)
    child.stdin.write(`${words.join('\t')}\n`)
    const [status, ...rest] = (await answer.promise).split(' ')
    if (status !== 'ok') throw new Error(`foreign producer, ${words[0]}: ${rest.join(' ')}`)
    return rest.filter((word) => word !== '')
  }

  return {
    async create(name, settings = {}) {
      await run(
        'producer',
        name,
        ...Object.entries(settings).map(([key, value]) => `${key}=${value}`),
      )
    },
    async begin(name) {
      await run('begin', name)
    },
    async send(name, { topic, partition, key, value, headers = {} }) {
      const words = Object.entries(headers).map(([header, content]) => `${header}=${word(content)}`)
      await run('send', name, topic, String(partition), word(key), word(value), ...words)
    },
    flush: async (name) => await run('flush', name),
    commit: async (name) => await run('commit', name),
    async abort(name) {
      await run('abort', name)
    },
    async close(name) {
      await run('close', name)
    },
    async stop() {
      child.stdin.end()
      await ended
    },
  }
}

/** Bytes as hex, so that tabs, line ends and anything else come through. */
function word(content: string | Buffer | null): string {
  if (content === null) return '-'
  return `hex:${Buffer.from(content).toString('hex')}`
}
