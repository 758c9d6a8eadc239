import { createHash, randomUUID } from 'node:crypto'
import { basename } from 'node:path'
import { isObject, type Parsed, parseEventValue, parseJson } from '@countersink/shared/event'
import type { Line } from './file-lines.ts'

const MADE_ID_CHARS = 24
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export type FileEventOptions = {
  /** What the made ids of lines without one depend on, beside the line's number and bytes. */
  sourceName: string
  /** Give lines with neither id nor at a random id and this time (epoch ms); undefined: refuse. */
  now: (() => number) | undefined
}

/** `export-1.ndjson` and `export-1.ndjson.gz` in any folder are the same source of ids. */
export function sourceNameOf(file: string): string {
  return file === '-' ? '-' : basename(file).replace(/\.gz$/, '')
}

/**
 * The event of a line, or why there is none; undefined for a blank line. A line without an id gets
 * one from where it stands and what it says, so that publishing the same file again makes the same
 * ids; it must have its `at`, since only equal times make copies meet.
 */
export function eventOfLine(line: Line, options: FileEventOptions): Parsed | undefined {
  if (line.bytes === undefined) return { ok: false, reason: 'too-large' }
  let text: string
  try {
    text = utf8.decode(line.bytes)
  } catch {
    return { ok: false, reason: 'not-utf8' }
  }
  if (text.trim() === '') return undefined
  const parsed = parseJson(text)
  if (!parsed.ok) return parsed
  const value = parsed.value
  if (!isObject(value) || value['id'] !== undefined || Object.hasOwn(value, 'specversion')) {
    return parseEventValue(value)
  }
  if (value['at'] === undefined && options.now !== undefined) {
    return parseEventValue({ ...value, id: randomUUID(), at: options.now() })
  }
  return parseEventValue({ ...value, id: madeId(options.sourceName, line.number, line.bytes) })
}

function madeId(sourceName: string, number: number, bytes: Buffer): string {
  const hash = createHash('sha256')
  hash.update(`${Buffer.byteLength(sourceName)}:${sourceName}:${number}:`)
  hash.update(withoutCarriageReturn(bytes))
  return `line-${hash.digest('base64url').slice(0, MADE_ID_CHARS)}`
}

/** A file that went through a Windows machine is still the same file. */
function withoutCarriageReturn(bytes: Buffer): Buffer {
  return bytes.at(-1) === 0x0d ? bytes.subarray(0, -1) : bytes
}
