import { mkdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { CountersinkError } from '@countersink/shared/errors'
import { createChild, type Child } from './child.ts'
import { ensureKafkaDistribution } from './kafka-distribution.ts'
import { kafkaSpec } from './kafka-server.ts'
import { freePort, LOOPBACK } from './ports.ts'
import { postgresServer } from './postgres-server.ts'
import { findJava, missingTools } from './tools.ts'

type Environment = Readonly<Record<string, string | undefined>>

export type OwnServerOptions = {
  /** An existing directory; each server makes its own below it. */
  dir: string
  environment: Environment
}

/** A broker outside any supervisor: nobody restarts it, so that a test can kill and pause it. */
export type OwnKafka = Child & { brokers: string; port: number }
export type OwnPostgres = Child & { databaseUrl: (database?: string) => string; port: number }

/**
 * Starts a broker on a free port and waits until it is ready. `advertised` (host:port) is where
 * clients are sent after the first contact: the address of a proxy that stands before it.
 */
export async function startKafka(
  options: OwnServerOptions & { advertised?: string },
): Promise<OwnKafka> {
  const { environment } = options
  const java = await findJava(environment)
  if (!java) throw missingTools(['java'], 'Kafka needs Java.')
  const dir = await ownDir(options.dir, 'kafka')
  const [port, controllerPort] = [await freePort(), await freePort()]
  const spec = await kafkaSpec({
    dir,
    logPath: `${dir}.log`,
    port,
    controllerPort,
    java,
    distribution: await ensureKafkaDistribution(environment, (line) => console.error(line)),
    env: environment,
    ...(options.advertised && { advertised: options.advertised }),
  })
  return { ...(await started(createChild(spec))), port, brokers: `${LOOPBACK}:${port}` }
}

/** Starts a Postgres on a free port, with an empty database `countersink`, and waits for it. */
export async function startPostgres(options: OwnServerOptions): Promise<OwnPostgres> {
  const dir = join(await realpath(options.dir), 'postgres')
  const port = await freePort()
  const { spec, databaseUrl } = await postgresServer({
    dir,
    logPath: `${dir}.log`,
    port,
    env: options.environment,
  })
  return { ...(await started(createChild(spec))), port, databaseUrl }
}

async function ownDir(parent: string, name: string): Promise<string> {
  const dir = join(await realpath(parent), name)
  await mkdir(dir, { recursive: true })
  return dir
}

async function started(child: Child): Promise<Child> {
  try {
    await child.start()
    return child
  } catch (error) {
    await child.kill()
    throw new CountersinkError('TIMED_OUT', `${child.name} did not start`, { cause: error })
  }
}
