import { styleText } from 'node:util'
import { printable, printableJson } from './printable.ts'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

/**
 * The two streams of a command: data go to stdout, everything else to stderr. Colours follow
 * NO_COLOR, FORCE_COLOR and whether the stream is a terminal.
 */
export type Terminal = {
  /** One line of data. */
  print: (line: string) => void
  /** The whole answer of a command as JSON. */
  printJson: (value: unknown) => void
  /** One line for the person who watches. */
  note: (line: string) => void
  warn: (text: string) => void
  fail: (text: string) => void
  /** A status line that is overwritten, on a terminal only. */
  progress: (line: string) => void
  clearProgress: () => void
  readonly interactive: boolean
  readonly columns: number
  paint: (style: Style, text: string) => string
  /** For text that goes to stderr. */
  paintNote: (style: Style, text: string) => string
}

const COLUMNS_DEFAULT = 80
const CLEAR_LINE = '\r\u001b[K'

export function createTerminal(
  stdout: NodeJS.WriteStream = process.stdout,
  stderr: NodeJS.WriteStream = process.stderr,
): Terminal {
  let progressShown = false
  const interactive = stderr.isTTY === true
  // A pseudo-terminal may say 0.
  const columns = stderr.columns || COLUMNS_DEFAULT
  const paint = (style: Style, text: string): string => styleText(style, text, { stream: stdout })
  const paintNote = (style: Style, text: string): string =>
    styleText(style, text, { stream: stderr })
  const clearProgress = (): void => {
    if (progressShown) stderr.write(CLEAR_LINE)
    progressShown = false
  }
  const note = (line: string): void => {
    clearProgress()
    stderr.write(`${line}\n`)
  }
  return {
    print: (line) => {
      clearProgress()
      stdout.write(`${line}\n`)
    },
    printJson: (value) => {
      clearProgress()
      stdout.write(`${printableJson(value)}\n`)
    },
    note,
    warn: (text) => note(`${paintNote('yellow', 'warning:')} ${printableLines(text)}`),
    fail: (text) => note(`${paintNote('red', 'error:')} ${printableLines(text)}`),
    progress: (line) => {
      if (!interactive) return
      stderr.write(`${CLEAR_LINE}${line.slice(0, Math.max(columns - 1, 1))}`)
      progressShown = true
    },
    clearProgress,
    interactive,
    columns,
    paint,
    paintNote,
  }
}

/** Messages may quote a stranger's text; their own line breaks stay. */
function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/** Waits until everything is written: stdout may be a pipe that process.exit would cut off. */
export async function flushStreams(): Promise<void> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) =>
        new Promise<void>((resolve) => {
          if (stream.destroyed || stream.writableEnded) resolve()
          else stream.write('', () => resolve())
        }),
    ),
  )
}
