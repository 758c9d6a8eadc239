import { type Command, InvalidArgumentError, Option } from 'commander'
import { type CatStart, parseStart } from './cat-start.ts'
import type { Runner } from './context.ts'
import { EXIT_HELP } from './exit-codes.ts'
import { type Common, wholeNumber, withCommonOptions } from './options.ts'

type CatFlags = Common & {
  partition: number[]
  from?: CatStart
  limit?: number
  follow?: true
  file?: string
}

export function addCat(program: Command, run: Runner): void {
  const command = program
    .command('cat')
    .summary('print the events of the topic')
    .description(
      'Prints what is in the topic, one line an event, whatever its encoding: JSON, CloudEvents, ' +
        'packed. A line begins with partition:offset, and of a packed record with the place of the ' +
        'event in it. What can be read of no event is printed with its reason. This says what was ' +
        'sent, not what was counted: nothing is deduplicated here.',
    )
    .addOption(
      new Option('--partition <number>', 'one partition instead of all; may be repeated')
        .argParser((text, previous: number[]) => [...previous, wholeNumber(text)])
        .default([], 'all'),
    )
    .option(
      '--from <where>',
      'beginning, end, an offset, or -N: N offsets before the end (default: beginning; end with --follow)',
      start,
    )
    .option('--limit <events>', 'stop after so many events', limit)
    .option('--follow', 'go on with what is sent from now on, until Ctrl-C')
    .addOption(
      new Option(
        '--file <file>',
        "print the events of one record's value in a file, - is standard input",
      ).conflicts(['from', 'follow']),
    )
  withCommonOptions(command)
    .addHelpText(
      'after',
      `
With --json each line is an object; its "event" is what \`countersink publish\` takes.

Examples:
  countersink cat --from -20
  countersink cat --partition 3 --from 123456 --limit 1
  countersink cat --follow --json | jq 'select(.reason)'
  countersink cat --json | jq -c '.event // empty' > events.ndjson
${EXIT_HELP}`,
    )
    .action(async (o: CatFlags) => {
      await run(o.dataDir, async (context) => {
        const json = o.json === true
        if (o.file !== undefined) {
          const { catFile } = await import('./cat-file.ts')
          return catFile(o.file, { json, limit: o.limit ?? Infinity }, context)
        }
        const { cat } = await import('./cat.ts')
        const follow = o.follow === true
        const options = {
          json,
          partitions: o.partition,
          from: o.from ?? (follow ? 'end' : 'beginning'),
          limit: o.limit ?? Infinity,
          follow,
        }
        return cat(options, context)
      })
    })
}

function start(text: string): CatStart {
  const parsed = parseStart(text)
  if (parsed !== undefined) return parsed
  throw new InvalidArgumentError('It is none of: beginning, end, an offset, -N.')
}

function limit(text: string): number {
  const value = wholeNumber(text)
  if (value > 0) return value
  throw new InvalidArgumentError('It must be at least 1.')
}
