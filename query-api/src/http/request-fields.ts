import { LIMITS } from '@countersink/shared/event'
import type { Problem } from '@countersink/shared/http/problem'
import type { FastifyRequest } from 'fastify'
import { canonicalDims } from '../core/series-lookups.ts'

/** A request that cannot be answered as it is; thrown by the checks below, answered as a Problem. */
export class RequestFault extends Error {
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail)
    this.name = 'RequestFault'
    this.problem = problem
  }
}

export function badQuery(detail: string): RequestFault {
  return new RequestFault({ status: 400, code: 'bad-query', detail })
}

const DIMS_PREFIX = 'dims.'

/**
 * The parameters of a request by name. Any that is not in `known` is a fault: a misspelt one would
 * be ignored in silence. Names that begin with `dims.` are known where 'dims.' is.
 */
export function queryOf(request: FastifyRequest, known: readonly string[]): Map<string, string> {
  const { url = '' } = request.raw
  const mark = url.indexOf('?')
  const query = new Map<string, string>()
  for (const pair of mark < 0 ? [] : url.slice(mark + 1).split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    const isKnown = known.includes(name.startsWith(DIMS_PREFIX) ? DIMS_PREFIX : name)
    if (!isKnown) throw badQuery(`there is no parameter ${JSON.stringify(name)} here`)
    query.set(name, decode(equals < 0 ? '' : pair.slice(equals + 1)))
  }
  return query
}

/** The server has refused broken escapes and repeated names already. */
function decode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}

/** JSON of the dims asked for, by name; '{}' without any. */
export function dimsOf(query: ReadonlyMap<string, string>): string {
  const dims = new Map<string, unknown>()
  for (const [name, value] of query) {
    if (name.startsWith(DIMS_PREFIX)) dims.set(name.slice(DIMS_PREFIX.length), value)
  }
  return checkedDims(dims)
}

export function checkedDims(dims: ReadonlyMap<string, unknown>): string {
  if (dims.size > LIMITS.dimsMax) throw badQuery(`at most ${LIMITS.dimsMax} dims can be asked for`)
  const checked: [string, string][] = []
  for (const [name, value] of dims) {
    const isValue = value === '' || isText(value, LIMITS.dimValueBytesMax)
    if (isText(name, LIMITS.dimNameBytesMax) && isValue) checked.push([name, value])
    else throw badQuery('the name or the value of a dim is not one that an event can have')
  }
  return canonicalDims(checked)
}

export function limitOf(query: ReadonlyMap<string, string>, max: number, fallback: number): number {
  const text = query.get('limit')
  if (text === undefined) return fallback
  const limit = wholeNumber(text)
  if (limit === undefined || limit < 1 || limit > max) {
    throw badQuery(`limit must be a whole number from 1 to ${max}`)
  }
  return limit
}

export function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

export function counterOf(value: unknown): string {
  return named(value, 'counter', LIMITS.counterBytesMax)
}

export function keyOf(value: unknown): string {
  return named(value, 'key', LIMITS.keyBytesMax)
}

/** A name exactly as it was given: nothing is trimmed or normalized. */
function named(value: unknown, what: string, bytesMax: number): string {
  if (isText(value, bytesMax)) return value
  throw badQuery(`a ${what} has 1 to ${bytesMax} bytes of UTF-8, and no U+0000`)
}

/** Whether Postgres can hold it as text and an event could have had it. */
export function isText(value: unknown, bytesMax: number): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    !value.includes('\u0000') &&
    value.isWellFormed() &&
    Buffer.byteLength(value) <= bytesMax
  )
}
