import { createApiClient } from './api-client.ts'
import { optionalSetting, requireSetting } from './config.ts'
import type { CommandContext } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type FileEventOptions, sourceNameOf } from './file-event.ts'
import { openSource } from './file-lines.ts'
import { latenessWarnings } from './lateness-report.ts'
import { lookThrough, startCheck } from './publish-check.ts'
import { summaryExit, summaryJson, summaryLines, summaryProblems } from './publish-report.ts'
import { sendAndWait, startProducer } from './publish-send.ts'
import { explainSamples } from './reject-samples.ts'

export type PublishOptions = {
  json: boolean
  wait: boolean
  check: boolean
  strict: boolean
  strictLateness: boolean
  now: boolean
  source: string | undefined
  /** How the events lie in the topic. */
  format: 'packed' | 'json'
  /** Without progress for so long, sending and waiting each give up. */
  timeoutMs: number
}

/** Sends the events of a file and says what became of them; see the help text of the command. */
export async function publish(
  file: string,
  options: PublishOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { settings, terminal, signal } = context
  const { timeoutMs, strict } = options
  const source = await openSource(file, process.stdin, signal)
  const url = options.wait ? requireSetting(settings, 'COUNTERSINK_API') : undefined
  const api = url === undefined ? undefined : createApiClient(url, signal)
  const events: FileEventOptions = {
    sourceName: options.source ?? sourceNameOf(file),
    now: options.now ? Date.now : undefined,
  }
  const producer = await startProducer(timeoutMs, options.format, context)
  try {
    const check = options.check ? await startCheck(context) : undefined
    const isFile = source.bytes !== undefined
    if (isFile && check !== undefined) {
      const willBeLate = await lookThrough(source, events, check, context)
      if (willBeLate && options.strictLateness) {
        terminal.fail('nothing was sent, as --strict-lateness asks for')
        return EXIT.failed
      }
    }
    const run = { producer, source, events, context, api, strict, timeoutMs }
    // A stream cannot be looked through before: its times are followed while it is sent.
    const summary = await sendAndWait({ ...run, check: isFile ? undefined : check })
    if (!isFile) latenessWarnings(check?.problems() ?? []).forEach(terminal.warn)
    if (options.json) terminal.printJson(summaryJson(summary))
    else summaryLines(summary).forEach(terminal.print)
    const databaseUrl = optionalSetting(settings, 'DATABASE_URL')
    if (databaseUrl !== undefined && !summary.interrupted) {
      const explained = await explainSamples(summary.samples, databaseUrl)
      explained.forEach(terminal.note)
    }
    summaryProblems(summary).forEach(terminal.fail)
    return summaryExit(summary)
  } finally {
    await producer.stop()
  }
}
