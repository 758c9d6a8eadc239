import {
  closeSync,
  copyFileSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  truncateSync,
} from 'node:fs'
import { join } from 'node:path'

/** The size at which a log is set aside; with its predecessor a child keeps at most twice as much. */
const LOG_BYTES_MAX = 16 * 1024 * 1024

/**
 * The last part of a log, from the start of a line on and nothing from before byte `from`; empty
 * when there is no log.
 */
export function tailOf(path: string, bytesMax: number, from = 0): string {
  try {
    const file = openSync(path, 'r')
    try {
      const { size } = fstatSync(file)
      // A log that was set aside since has begun again.
      const first = from > size ? 0 : from
      const start = Math.max(first, size - bytesMax)
      const buffer = Buffer.alloc(size - start)
      readSync(file, buffer, 0, buffer.length, start)
      const text = buffer.toString('utf8')
      return start > first ? text.slice(text.indexOf('\n') + 1) : text
    } finally {
      closeSync(file)
    }
  } catch {
    return ''
  }
}

/** The message of the last fatal line of a service's log, without what a terminal would act upon. */
export function fatalMessage(text: string): string | undefined {
  for (const line of text.split('\n').toReversed()) {
    if (!line.startsWith('{"level":"fatal"')) continue
    const message = /"msg":("(?:[^"\\]|\\.)*")/.exec(line)?.[1]
    if (message !== undefined) return String(JSON.parse(message)).replaceAll(/\p{Cc}+/gu, ' ')
  }
  return undefined
}

/**
 * Sets logs that grew too large aside as NAME.log.1 and empties them in place: the children keep
 * their files open for appending, so a renamed one would go on growing. The lines that come between
 * copy and truncation are lost, which is the price of children that outlive us.
 */
export function boundLogs(dir: string, bytesMax = LOG_BYTES_MAX): void {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name)
    if (!name.endsWith('.log') || statSync(path).size <= bytesMax) continue
    copyFileSync(path, `${path}.1`)
    truncateSync(path, 0)
  }
}
