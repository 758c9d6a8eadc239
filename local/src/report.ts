import { styleText } from 'node:util'

/** What a person at the terminal is told: one short line an event, on stderr. */
export type Report = {
  line: (text: string) => void
  /** Prints `name` with what `work` resolves to and how long it took. */
  step: (name: string, work: Promise<string>) => Promise<void>
}

const NAME_WIDTH = 14

export function createReport(stream: NodeJS.WriteStream): Report {
  const line = (text: string): void => {
    stream.write(`${text}\n`)
  }
  const bold = (text: string): string => styleText('bold', text, { stream })
  return {
    line,
    step: async (name, work) => {
      const begun = Date.now()
      const what = await work
      line(`  ${bold(name.padEnd(NAME_WIDTH))}${what} (${secondsSince(begun)})`)
    },
  }
}

export function secondsSince(begun: number): string {
  return `${((Date.now() - begun) / 1000).toFixed(1)} s`
}
