import { Command, Option } from 'commander'
import { addCat } from './cat-command.ts'
import type { Runner } from './context.ts'
import { EXIT_HELP } from './exit-codes.ts'
import {
  type Common,
  dimension,
  offsetOrEarliest,
  step,
  time,
  timeoutOption,
  wholeNumber,
  withCommonOptions,
} from './options.ts'
import { parseTime } from './time-argument.ts'

/** The command line. What a command needs is imported only when it runs: help comes at once. */
export function createProgram(run: Runner): Command {
  const program = new Command('countersink')
    .description('Counts things exactly once, on Kafka and Postgres.')
    .version('0.1.0', '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    .showHelpAfterError('(add --help for the options and examples)')
    .addHelpText(
      'after',
      `
Settings come from the environment (KAFKA_BROKERS, DATABASE_URL, COUNTERSINK_TOPIC,
COUNTERSINK_API, COUNTERSINK_GATEWAY, COUNTERSINK_CONTRACTS), else from .countersink/local.env,
which \`npm start\` writes. Data go to stdout, everything else to stderr.

Examples:
  countersink publish events.ndjson.gz
  countersink get video_views v_123
  countersink windows video_views v_123 --from 24h --step 1h
  countersink status
${EXIT_HELP}`,
    )
  addPublish(program, run)
  addGet(program, run)
  addWindows(program, run)
  addStatus(program, run)
  addRouting(program, run)
  addCat(program, run)
  addDoctor(program, run)
  addGap(program, run)
  return program
}

function addPublish(program: Command, run: Runner): void {
  const command = program
    .command('publish')
    .summary('send the events of a file and say what became of them')
    .description(
      'Sends the events of a file, one JSON object a line, plain or gzip; - is standard input. ' +
        'Then waits until they are counted and says what became of each: counted, duplicate, ' +
        'conflict, late or invalid.\n\n' +
        'Publishing a file again is safe: its ids are known. A line without "id" gets one from ' +
        "the file's name (without folders and .gz), the number of the line and its text; it must " +
        'have its "at". So a file that grows at its end may be published again under its name.',
    )
    .argument('<file>', 'file with one event a line, or -')
    .option('--no-wait', 'do not wait until the events are counted')
    .addOption(timeoutOption('give up after so long without progress', '2m'))
    .option('--strict', 'stop at the first line that is no event')
    .option('--no-check', 'do not look for events that will be late')
    .option('--strict-lateness', 'send nothing when some events will be late')
    .option('--now', 'give lines with neither "id" nor "at" the current time')
    .option('--source <name>', 'name for made ids, instead of that of the file')
    .addOption(
      new Option(
        '--format <format>',
        'json: a record for each event, for others that read the topic',
      )
        .choices(['packed', 'json'])
        .default('packed'),
    )
  withCommonOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  countersink publish views.ndjson.gz
  countersink publish --json views.ndjson | jq .counted
  zstd -dc views.zst | countersink publish - --source views

An event: {"id":"e1","counter":"video_views","key":"v_123","delta":1,"at":"2025-01-31T12:00:00Z"}
${EXIT_HELP}`,
    )
    .action(async (file: string, o: PublishFlags) => {
      await run(o.dataDir, async (context) => {
        const { publish } = await import('./publish.ts')
        const options = {
          json: o.json === true,
          wait: o.wait,
          check: o.check,
          strict: o.strict === true,
          strictLateness: o.strictLateness === true,
          now: o.now === true,
          source: o.source,
          format: o.format,
          timeoutMs: o.timeout,
        }
        return publish(file, options, context)
      })
    })
}

type PublishFlags = Common & {
  wait: boolean
  check: boolean
  strict?: true
  strictLateness?: true
  now?: true
  source?: string
  format: 'packed' | 'json'
  timeout: number
}

type ReadFlags = Common & { dims: Map<string, string>; after?: string }

function withReadOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--dims <name=value>', 'one breakdown instead of the total; may be repeated')
        .argParser(dimension)
        .default(new Map(), 'none'),
    )
    .option('--after <position>', 'wait until the API has counted up to this position')
}

function addGet(program: Command, run: Runner): void {
  const command = program
    .command('get')
    .summary('print the total of a key')
    .description('Prints the total of one key; how fresh it is goes to stderr.')
    .argument('<counter>')
    .argument('<key>')
  withCommonOptions(withReadOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  countersink get video_views v_123
  countersink get video_views v_123 --dims country=de
${EXIT_HELP}`,
    )
    .action(async (counter: string, key: string, o: ReadFlags) => {
      await run(o.dataDir, async (context) => {
        const { get } = await import('./read-commands.ts')
        const options = { json: o.json === true, dims: o.dims, after: o.after }
        return get(counter, key, options, context)
      })
    })
}

type WindowsFlags = ReadFlags & { from?: string; to?: string; step: string }

function addWindows(program: Command, run: Runner): void {
  const command = program
    .command('windows')
    .summary('print the counts of a key by time')
    .description('Prints what was counted for one key in each window of time.')
    .argument('<counter>')
    .argument('<key>')
    .option('--from <time>', 'start (default: 60 steps before --to)', time)
    .option('--to <time>', 'end, exclusive (default: of the window that now is in)', time)
    .option('--step <duration>', 'length of a window: 1m, 15m, 1h, 1d', step, '1m')
  withCommonOptions(withReadOptions(command))
    .addHelpText(
      'after',
      `
A time is RFC 3339, a date, epoch milliseconds, "now", or how long ago: 90m, 24h, 7d.

Examples:
  countersink windows video_views v_123 --from 24h --step 1h
  countersink windows video_views v_123 --from 2025-01-01 --to 2025-02-01 --step 1d
${EXIT_HELP}`,
    )
    .action(async (counter: string, key: string, o: WindowsFlags) => {
      await run(o.dataDir, async (context) => {
        const { windows } = await import('./read-commands.ts')
        const now = Date.now()
        const range = { fromMs: moment(o.from, now), toMs: moment(o.to, now), step: o.step }
        const common = { json: o.json === true, dims: o.dims, after: o.after }
        return windows(counter, key, { ...common, ...range }, context)
      })
    })
}

function moment(text: string | undefined, now: number): number | undefined {
  return text === undefined ? undefined : parseTime(text, now)
}

function addStatus(program: Command, run: Runner): void {
  const command = program
    .command('status')
    .summary('show how far counting is')
    .description('Shows for each partition how far counting is and where its events went.')
    .option('--watch', 'show it again every second')
  withCommonOptions(command)
    .addHelpText('after', `\nA halted partition makes the exit code 3.\n${EXIT_HELP}`)
    .action(async (o: Common & { watch?: true }) => {
      await run(o.dataDir, async (context) => {
        const { status } = await import('./status.ts')
        return status({ json: o.json === true, watch: o.watch === true }, context)
      })
    })
}

function addRouting(program: Command, run: Runner): void {
  const command = program
    .command('routing')
    .summary('show how events are spread over partitions, and what will change')
    .description(
      'Shows the routing versions that were told for the topic: how many partitions events go to, ' +
        'which keys are spread over several, and from which event time on. Changes nothing.',
    )
  withCommonOptions(command)
    .addHelpText('after', EXIT_HELP)
    .action(async (o: Common) => {
      await run(o.dataDir, async (context) => {
        const { routing } = await import('./routing.ts')
        return routing({ json: o.json === true }, context)
      })
    })
}

function addDoctor(program: Command, run: Runner): void {
  const command = program
    .command('doctor')
    .summary('check the settings and everything they point at')
    .description(
      'Checks versions, reachability, the settings of the topic, clocks, contracts and owners of ' +
        'partitions, and says what to do about what is wrong.',
    )
  withCommonOptions(command)
    .addHelpText(
      'after',
      `\nWarnings leave the exit code 0; a failed check makes it 3.\n${EXIT_HELP}`,
    )
    .action(async (o: Common) => {
      await run(o.dataDir, async (context) => {
        const { doctor } = await import('./doctor.ts')
        return doctor({ json: o.json === true }, context)
      })
    })
}

type GapFlags = Common & {
  partition: number
  to?: number | 'earliest'
  yes?: true
  timeout: number
}

function addGap(program: Command, run: Runner): void {
  const gap = program
    .command('gap')
    .summary('decide what happens to a halted partition')
    .description(
      'A partition halts when records that were not counted are no longer in the log, when the log ' +
        'is not the one that was counted, or when a part of it cannot be read or kept.',
    )
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
  const accept = gap
    .command('accept')
    .summary('let a halted partition go on')
    .description(
      'Lets a halted partition go on at an offset. What lies before it and was not counted is ' +
        'never counted; the ledger keeps the gap. Without --to it says what can be decided, ' +
        'without --yes what would happen; neither changes anything.',
    )
    .requiredOption('--partition <number>', 'the halted partition', wholeNumber)
    .option('--to <offset>', 'where to go on: an offset, or "earliest"', offsetOrEarliest)
    .option('--yes', 'do it')
    .addOption(timeoutOption('how long to wait for the aggregator', '1m'))
  withCommonOptions(accept)
    .addHelpText(
      'after',
      `
Examples:
  countersink gap accept --partition 3
  countersink gap accept --partition 3 --to earliest
  countersink gap accept --partition 3 --to earliest --yes
${EXIT_HELP}`,
    )
    .action(async (o: GapFlags) => {
      await run(o.dataDir, async (context) => {
        const { acceptGap } = await import('./gap.ts')
        const { partition, to, timeout: timeoutMs } = o
        const options = { json: o.json === true, yes: o.yes === true, partition, to, timeoutMs }
        return acceptGap(options, context)
      })
    })
  const list = gap
    .command('list')
    .summary('list halted partitions, open decisions and accepted gaps')
    .description('Lists halted partitions, decisions not carried out yet, and accepted gaps.')
  withCommonOptions(list)
    .addHelpText('after', EXIT_HELP)
    .action(async (o: Common) => {
      await run(o.dataDir, async (context) => {
        const { listGaps } = await import('./gap.ts')
        return listGaps({ json: o.json === true }, context)
      })
    })
}
