import { createReadStream } from 'node:fs'
import { addAbortSignal } from 'node:stream'
import { CountersinkError, messageOf } from '@countersink/shared/errors'
import { parseEventBytes, type Parsed } from '@countersink/shared/event'
import { PACKED_LIMITS, PACKED_MAGIC } from '@countersink/shared/packed/packed-format'
import { parsePacked } from '@countersink/shared/packed/packed-reader'
import { createCatPrinter } from './cat-printer.ts'
import type { CommandContext } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'

/**
 * Prints the events of one record's value, for whoever writes a producer. There are no headers to
 * say what it is, so the first bytes have to: those of a packed record, or else it is JSON.
 */
export async function catFile(
  file: string,
  options: { json: boolean; limit: number },
  { terminal, signal }: CommandContext,
): Promise<ExitCode> {
  const value = await readValue(file, signal)
  const isPacked = PACKED_MAGIC.equals(value.subarray(0, PACKED_MAGIC.length))
  const events = isPacked ? packedEvents(value) : [parseEventBytes(value)]
  const printer = createCatPrinter(options, terminal)
  const encoding = isPacked ? 'packed' : 'json'
  printer.record({ partition: 0, offset: 0, timestampMs: Date.now(), encoding }, events)
  printer.flush()
  terminal.note(terminal.paintNote('dim', printer.summary()))
  return events.every((event) => event.ok) ? EXIT.ok : EXIT.partly
}

function packedEvents(value: Buffer): readonly Parsed[] {
  const parsed = parsePacked(value)
  return parsed.ok ? parsed.events : [parsed]
}

async function readValue(file: string, signal: AbortSignal): Promise<Buffer> {
  // A stream that waits for input has to be ended from outside.
  const stream = addAbortSignal(signal, file === '-' ? process.stdin : createReadStream(file))
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of stream) {
      const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
      chunks.push(buffer)
      bytes += buffer.length
      // One byte too many is enough to say that it is too large.
      if (bytes > PACKED_LIMITS.valueBytesMax) break
    }
  } catch (error) {
    throw new CountersinkError('CONFIG_INVALID', `cannot read ${file}: ${messageOf(error)}`)
  }
  return Buffer.concat(chunks)
}
