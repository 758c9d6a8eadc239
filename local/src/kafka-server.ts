import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ChildSpec } from './child.ts'
import { LOOPBACK } from './ports.ts'
import { kafkaAnswers } from './probes.ts'
import type { Java } from './tools.ts'
import { KAFKA_VERSION } from './versions.ts'

export type KafkaOptions = {
  /** Where the broker keeps its data, configuration included; made when it is not there. */
  dir: string
  logPath: string
  port: number
  controllerPort: number
  java: Java
  /** The jars, from ensureKafkaDistribution. */
  distribution: string
  env: Readonly<Record<string, string | undefined>>
  /** Where clients are told to go; a test's proxy puts itself there. Default: the broker itself. */
  advertised?: string
}

const HEAP = ['-Xms256m', '-Xmx1g']
/** 1.2 s on a quiet machine; 40 s were seen with twenty busy processes a core. */
const READY_MS_MAX = 120_000
/** The first orderly stop also writes the class archive, which took 3 s here. */
const STOP_MS_MAX = 12_000
const FORMAT_MS_MAX = 60_000

/**
 * A KRaft broker that is its own controller. Formats the data directory on first use (about 1 s).
 * Offsets, transactions and groups are kept as a cluster of one can keep them.
 */
export async function kafkaSpec(options: KafkaOptions): Promise<ChildSpec> {
  await mkdir(options.dir, { recursive: true })
  const logging = join(options.dir, 'log4j2.properties')
  await writeFile(logging, LOGGING)
  await formatOnce(options, logging)
  const properties = join(options.dir, 'server.properties')
  await writeFile(properties, brokerProperties(options, join(options.dir, 'data')))

  const archive = join(options.distribution, `java-${options.java.version}.jsa`)
  const part = `${archive}.${process.pid}.part`
  const program = [...javaArgs(options, logging), 'kafka.Kafka', properties]
  return {
    name: 'kafka',
    command: options.java.path,
    args: () => [...HEAP, ...classSharing(archive, part), ...program],
    env: options.env,
    cwd: options.dir,
    logPath: options.logPath,
    probe: () => kafkaAnswers(options.port),
    readyMsMax: READY_MS_MAX,
    stopSignal: 'SIGTERM',
    stopMsMax: STOP_MS_MAX,
    afterStop: () => keepClassArchive(part, archive),
  }
}

/**
 * Classes as the JVM has them in memory, dumped at the first orderly stop: with it the broker is
 * ready in 1.2 s instead of 2.5 s. Turning the compilers down to gain the same would cost
 * throughput. The JVM checks version and class path itself and goes on without a file that differs.
 */
function classSharing(archive: string, part: string): string[] {
  const share = existsSync(archive)
    ? `-XX:SharedArchiveFile=${archive}`
    : `-XX:ArchiveClassesAtExit=${part}`
  return [share, '-Xlog:cds=off', '-Xlog:cds+dynamic=off']
}

function keepClassArchive(part: string, archive: string): void {
  try {
    if (existsSync(part)) renameSync(part, archive)
  } catch {
    // A cache that cannot be written only means slower starts.
    rmSync(part, { force: true })
  }
}

function javaArgs(options: KafkaOptions, logging: string): string[] {
  return ['-cp', join(options.distribution, '*'), `-Dlog4j2.configurationFile=${logging}`]
}

/** Formats beside and renames: a directory that exists is always whole. */
async function formatOnce(options: KafkaOptions, logging: string): Promise<void> {
  const data = join(options.dir, 'data')
  if (existsSync(data)) return
  const part = join(options.dir, 'data.part')
  await rm(part, { recursive: true, force: true })
  const properties = join(options.dir, 'format.properties')
  await writeFile(properties, brokerProperties(options, part))
  const clusterId = randomBytes(16).toString('base64url')
  // One word, because an id may begin with "-", which the tool would take for an option.
  const tool = ['kafka.tools.StorageTool', 'format', `--cluster-id=${clusterId}`, '-c', properties]
  // Short-lived, so the quick compiler and the small collector: 0.9 s instead of 1.3 s.
  const jvm = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']
  await promisify(execFile)(options.java.path, [...jvm, ...javaArgs(options, logging), ...tool], {
    env: { ...options.env },
    timeout: FORMAT_MS_MAX,
  })
  await rename(part, data)
}

function brokerProperties(options: KafkaOptions, dataDir: string): string {
  const own = `${LOOPBACK}:${options.port}`
  const controller = `${LOOPBACK}:${options.controllerPort}`
  const settings: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${controller}`,
    listeners: `PLAINTEXT://${own},CONTROLLER://${controller}`,
    'advertised.listeners': `PLAINTEXT://${options.advertised ?? own}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'log.dirs': dataDir,
    ...singleNodeSettings,
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  return `# Written at each start. Apache Kafka ${KAFKA_VERSION}.\n${lines.join('\n')}\n`
}

/** What a single broker needs to differ from the defaults in; docker-compose.yml has the same. */
export const singleNodeSettings = {
  'offsets.topic.replication.factor': 1,
  'offsets.topic.num.partitions': 8,
  'transaction.state.log.replication.factor': 1,
  'transaction.state.log.min.isr': 1,
  'transaction.state.log.num.partitions': 8,
  'share.coordinator.state.topic.replication.factor': 1,
  'share.coordinator.state.topic.min.isr': 1,
  // After a kill -9 the broker may register again only when its former self has timed out: with the
  // default of 9 s it was back after 12.6 s, so after 6 s at most at this.
  'broker.session.timeout.ms': 3000,
  'broker.heartbeat.interval.ms': 500,
  // A group of one need not wait 3 s for more members to come.
  'group.initial.rebalance.delay.ms': 0,
  // Dead members must be noticed in less than the broker's default minimum of 6 s.
  'group.min.session.timeout.ms': 1000,
  // A mistyped topic must be an error, not a topic.
  'auto.create.topics.enable': 'false',
} as const

const LOGGING = `# Warnings and errors, to the log file that the parent gave.
status=error
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %m (%c)%n%throwable
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=OUT
`
