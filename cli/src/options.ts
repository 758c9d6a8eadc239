import { parseDuration } from '@countersink/shared/duration'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseTime } from './time-argument.ts'

/** What every command takes. */
export type Common = { json?: true; dataDir?: string }

export function withCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print JSON')
    .option('--data-dir <dir>', 'use the local stack that keeps its data there')
    .helpOption('-h, --help', 'show this help')
}

export function timeoutOption(description: string, standard: string): Option {
  return new Option('--timeout <duration>', description)
    .argParser(duration)
    .default(duration(standard), standard)
}

function duration(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined) throw new InvalidArgumentError('It is no duration such as 30s, 5m or 1h.')
  return ms
}

export function step(text: string): string {
  duration(text)
  return text
}

export function time(text: string): string {
  if (parseTime(text, Date.now()) !== undefined) return text
  throw new InvalidArgumentError(
    'It is no time: RFC 3339, a date, epoch milliseconds, "now", or how long ago such as 24h.',
  )
}

export function wholeNumber(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  throw new InvalidArgumentError('It is no whole number.')
}

export function offsetOrEarliest(text: string): number | 'earliest' {
  return text === 'earliest' ? text : wholeNumber(text)
}

export function dimension(
  text: string,
  previous: ReadonlyMap<string, string>,
): Map<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It is not of the form name=value.')
  return new Map([...previous, [text.slice(0, at), text.slice(at + 1)]])
}
