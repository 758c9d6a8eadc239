import { CLOUD_EVENT_SPEC_VERSION, fromCloudEvent } from './cloud-events.ts'
import { exactInteger } from './exact-integer.ts'
import type { InvalidReason } from './reasons.ts'

/** Bounds of one event, in bytes of UTF-8 unless the name says otherwise. */
export const LIMITS = {
  valueBytesMax: 64 * 1024,
  idBytesMax: 256,
  counterBytesMax: 128,
  keyBytesMax: 1024,
  dimsMax: 16,
  dimNameBytesMax: 64,
  dimValueBytesMax: 256,
  /** Levels of arrays and objects in one value. */
  depthMax: 64,
  atMsMax: 253_402_300_799_999,
} as const

export const EVENT_VERSION = 1

/** One thing that happened. `at` is epoch milliseconds; a retry repeats `id` and `at`. */
export type CountEvent = {
  id: string
  counter: string
  key: string
  /** A safe integer. */
  delta: number
  at: number
  /** Sorted by name (code units); undefined when there are none. */
  dims?: ReadonlyMap<string, string>
}

export type Parsed = { ok: true; event: CountEvent } | { ok: false; reason: InvalidReason }

/** An event as a caller writes it, before ids and times are made. */
export type EventInput = {
  /** The version of this shape; left out, it is the present one. */
  v?: typeof EVENT_VERSION
  id?: string
  counter: string
  key: string
  delta?: number
  at?: number | string
  dims?: Readonly<Record<string, string>>
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const BLANK = /^\s*$/u

function bad(reason: InvalidReason): Parsed {
  return { ok: false, reason }
}

/**
 * The complete parser of a native event or a structured CloudEvent: any bytes give an event or a
 * reason, never an exception. The aggregator's byte scanner hands everything unusual to this one,
 * and fuzzing holds the two to the same outcome.
 */
export function parseEventBytes(bytes: Uint8Array): Parsed {
  if (bytes.length === 0) return bad('empty-value')
  if (bytes.length > LIMITS.valueBytesMax) return bad('too-large')
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return bad('not-utf8')
  }
  return parseEventText(text)
}

export function parseEventText(text: string): Parsed {
  const value = parseJson(text)
  return value.ok ? parseEventValue(value.value) : value
}

export type ParsedJson = { ok: true; value: unknown } | { ok: false; reason: InvalidReason }

/**
 * `JSON.parse` rounds what a double cannot hold: 9007199254740991.4 would pass for a safe integer.
 * Text that has a number with a fraction, an exponent or 16 digits is therefore parsed again with
 * access to the source of each number, and what is not exact becomes NaN, which no check accepts.
 */
export function parseJson(text: string): ParsedJson {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { ok: false, reason: 'not-json' }
  }
  // V8 parses any depth but calls a reviver recursively: without a bound of ours the outcome would
  // depend on the stack that happens to be left.
  if (!isShallow(value, LIMITS.depthMax)) return { ok: false, reason: 'too-deep' }
  return { ok: true, value: MAY_ROUND.test(text) ? JSON.parse(text, keepExact) : value }
}

function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (levels === 0) return false
  const members: unknown[] = Array.isArray(value) ? value : Object.values(value)
  return members.every((member) => isShallow(member, levels - 1))
}

/** Where a number can begin; inside most UUIDs a digit stands before an e as well. */
const MAY_ROUND = /(?:^|[:,[\s])-?(?:\d+[.eE]|\d{16})/

function keepExact(_name: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value
  return exactInteger(context.source) ?? Number.NaN
}

/** The same for JSON that is parsed already (the gateway's list members). */
export function parseEventValue(value: unknown): Parsed {
  const found = eventFields(value)
  return found.ok ? checkEvent(found.fields) : found
}

export type EventFields =
  { ok: true; fields: Record<string, unknown> } | { ok: false; reason: InvalidReason }

/** The fields of a native event or of a CloudEvent, as a native one has them, still unchecked. */
export function eventFields(value: unknown): EventFields {
  if (!isObject(value)) return { ok: false, reason: 'not-an-object' }
  if (!Object.hasOwn(value, 'specversion')) return { ok: true, fields: value }
  if (value['specversion'] !== CLOUD_EVENT_SPEC_VERSION) {
    return { ok: false, reason: 'unknown-version' }
  }
  const fields = fromCloudEvent(value)
  return fields === undefined ? { ok: false, reason: 'bad-cloud-event' } : { ok: true, fields }
}

/** Checks the fields of a native event one by one, in a fixed order: the first fault is the reason. */
export function checkEvent(raw: Readonly<Record<string, unknown>>): Parsed {
  if (raw['v'] !== undefined && raw['v'] !== EVENT_VERSION) return bad('unknown-version')
  const { id, counter, key, at } = raw
  if (!isText(id, LIMITS.idBytesMax)) return bad('bad-id')
  if (!isName(counter, LIMITS.counterBytesMax)) return bad('bad-counter')
  if (!isName(key, LIMITS.keyBytesMax)) return bad('bad-key')
  const delta = raw['delta'] === undefined ? 1 : raw['delta']
  if (!Number.isSafeInteger(delta)) return bad('bad-delta')
  if (at === undefined) return bad('missing-at')
  const atMs = typeof at === 'string' ? parseRfc3339(at) : at
  if (!isEpochMs(atMs)) return bad('bad-at')
  // Adding 0 turns -0, which JSON can spell and a sum cannot, into 0.
  const event: CountEvent = { id, counter, key, delta: (delta as number) + 0, at: atMs + 0 }
  if (raw['dims'] === undefined) return { ok: true, event }
  const dims = parseDims(raw['dims'])
  if (dims === undefined) return bad('bad-dims')
  if (dims.size > 0) event.dims = dims
  return { ok: true, event }
}

function parseDims(value: unknown): ReadonlyMap<string, string> | undefined {
  if (!isObject(value)) return undefined
  const names = Object.keys(value)
  if (names.length > LIMITS.dimsMax) return undefined
  const dims = new Map<string, string>()
  for (const name of names.toSorted()) {
    const label = value[name]
    if (!isText(name, LIMITS.dimNameBytesMax)) return undefined
    if (label !== '' && !isText(label, LIMITS.dimValueBytesMax)) return undefined
    dims.set(name, label)
  }
  return dims
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isText(value: unknown, bytesMax: number): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= bytesMax &&
    !value.includes('\u0000') &&
    value.isWellFormed() &&
    Buffer.byteLength(value) <= bytesMax
  )
}

/** A text that a counter or a key may be. */
export function isName(value: unknown, bytesMax: number): value is string {
  return isText(value, bytesMax) && !BLANK.test(value)
}

function isEpochMs(value: unknown): value is number {
  return (
    Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= LIMITS.atMsMax
  )
}

const RFC3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/

/** Epoch milliseconds of an RFC 3339 time, or undefined. Digits beyond milliseconds are cut off. */
export function parseRfc3339(text: string): number | undefined {
  const m = RFC3339.exec(text)
  if (m === null) return undefined
  const [, year, month, day, hour, minute, second] = m.map(Number) as [number, ...number[]]
  const date = Date.UTC(year!, month! - 1, day!)
  const check = new Date(date)
  if (year! < 1970 || check.getUTCMonth() !== month! - 1 || check.getUTCDate() !== day!)
    return undefined
  if (hour! > 23 || minute! > 59 || second! > 59) return undefined
  const offset =
    m[8] === undefined ? 0 : (m[8] === '-' ? -1 : 1) * (Number(m[9]) * 60 + Number(m[10]))
  if (m[8] !== undefined && (Number(m[9]) > 23 || Number(m[10]) > 59)) return undefined
  const ms = Number((m[7] ?? '').padEnd(3, '0').slice(0, 3))
  return date + ((hour! * 60 + minute! - offset) * 60 + second!) * 1000 + ms
}

/** The event as its sender may add it again. */
export function inputOf(event: CountEvent): EventInput & Omit<CountEvent, 'dims'> {
  const { dims, ...fields } = event
  return dims === undefined ? fields : { ...fields, dims: Object.fromEntries(dims) }
}

/** The JSON that every SDK of ours writes; the plain shape that the byte scanner reads fastest. */
export function formatEvent(event: CountEvent): string {
  const { id, counter, key, delta, at, dims } = event
  return dims === undefined
    ? JSON.stringify({ id, counter, key, delta, at })
    : JSON.stringify({ id, counter, key, delta, at, dims: Object.fromEntries(dims) })
}
