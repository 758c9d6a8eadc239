import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseConfig, sharedSettings, type Environment } from '@countersink/shared/config'
import { readContracts } from '@countersink/shared/contracts'
import { CountersinkError } from '@countersink/shared/errors'
import { Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import { AGGREGATORS_MAX, PORT_BASE_DEFAULT, PORT_BASE_MAX } from './ports.ts'

export type StackConfig = {
  command: 'start' | 'demo'
  dataDir: string
  portBase: number
  aggregatorCount: number
  partitions: number
  topic: string
  contractsFile: string | undefined
  /** Set when a part is the user's own and must not be started. */
  kafkaBrokers: string[] | undefined
  databaseUrl: string | undefined
  redisUrl: string | undefined
  withRedis: boolean
  /** Our own environment, which the children inherit. */
  environment: Environment
}

const PARTITIONS_DEFAULT = 8
const PARTITIONS_MAX = 256

const environmentSchema = z.object({
  KAFKA_BROKERS: sharedSettings.KAFKA_BROKERS.optional(),
  DATABASE_URL: sharedSettings.DATABASE_URL.optional(),
  REDIS_URL: z.string('redis:// URL of the cache').optional(),
  COUNTERSINK_TOPIC: sharedSettings.COUNTERSINK_TOPIC,
  COUNTERSINK_CONTRACTS: sharedSettings.COUNTERSINK_CONTRACTS,
  INIT_CWD: z.string().optional(),
})

type Flags = {
  dataDir: string
  portBase: number
  aggregators: number
  partitions: number
  contracts?: string
  redis: boolean
}

/** What npm scripts and their flags ask for. Exits with help or usage errors as commander does. */
export function stackConfig(argv: readonly string[], environment: Environment): StackConfig {
  const chosen: { command: StackConfig['command']; flags: Flags }[] = []
  const program = new Command('countersink-local').description('The local Countersink stack')
  const commands = {
    start: 'Kafka, Postgres, Redis and the services; keeps its data, empty at first',
    demo: 'the same with real sample data and live traffic',
  } as const
  for (const command of ['start', 'demo'] as const) {
    withFlags(program.command(command).description(commands[command])).action((flags: Flags) => {
      chosen.push({ command, flags })
    })
  }
  program.parse([...argv], { from: 'user' })
  const [choice] = chosen
  if (!choice) throw new CountersinkError('CONFIG_INVALID', 'start or demo?')
  return resolveConfig(choice.command, choice.flags, environment)
}

function withFlags(command: Command): Command {
  const whole = (max: number) => (text: string) => {
    const value = Number(text)
    if (Number.isInteger(value) && value >= 1 && value <= max) return value
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${max}.`)
  }
  const option = (flags: string, what: string, max: number, fallback: number): Option =>
    new Option(flags, what).argParser(whole(max)).default(fallback)
  return command
    .option('--data-dir <dir>', 'where everything is kept between starts', '.countersink')
    .addOption(option('--port-base <n>', 'first port', PORT_BASE_MAX, PORT_BASE_DEFAULT))
    .addOption(option('--aggregators <n>', 'how many aggregators', AGGREGATORS_MAX, 1))
    .addOption(
      option(
        '--partitions <n>',
        'of the topic, when it is made',
        PARTITIONS_MAX,
        PARTITIONS_DEFAULT,
      ),
    )
    .option('--contracts <file>', 'the counters’ contracts (default: ./counters.yaml if there)')
    .option('--no-redis', 'go without Redis even when redis-server is there')
}

function resolveConfig(
  command: StackConfig['command'],
  flags: Flags,
  environment: Environment,
): StackConfig {
  const settings = parseConfig(environmentSchema, environment)
  // npm runs scripts in the project's root and says here where its user stood.
  const userDir = settings.INIT_CWD ?? process.cwd()
  return {
    command,
    dataDir: resolve(flags.dataDir === '.countersink' ? process.cwd() : userDir, flags.dataDir),
    portBase: flags.portBase,
    aggregatorCount: flags.aggregators,
    partitions: flags.partitions,
    topic: settings.COUNTERSINK_TOPIC,
    contractsFile: contractsFile(flags.contracts ?? settings.COUNTERSINK_CONTRACTS, userDir),
    kafkaBrokers: settings.KAFKA_BROKERS,
    databaseUrl: settings.DATABASE_URL,
    redisUrl: settings.REDIS_URL,
    withRedis: flags.redis,
    environment,
  }
}

function contractsFile(asked: string | undefined, userDir: string): string | undefined {
  if (asked !== undefined) {
    const file = resolve(userDir, asked)
    if (existsSync(file)) return checked(file)
    throw new CountersinkError('CONFIG_INVALID', `there is no contracts file ${file}`)
  }
  const found = join(userDir, 'counters.yaml')
  return existsSync(found) ? checked(found) : undefined
}

/** Before anything is started: a service that cannot read its contracts ends at once. */
function checked(file: string): string {
  readContracts(file)
  return file
}

/** The environment of this process: read here and nowhere else in this workspace. */
export function processEnvironment(): Environment {
  return process.env
}
