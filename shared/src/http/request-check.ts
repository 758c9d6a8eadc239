import type { FastifyRequest } from 'fastify'
import type { HttpLimits } from './limits.ts'
import type { Problem } from './problem.ts'

/**
 * What is wrong with a request before any handler looks at it: too many headers, or a query string
 * that two readers could understand differently (repeated names, broken percent escapes).
 */
export function checkRequest(request: FastifyRequest, limits: HttpLimits): Problem | undefined {
  const headers = request.raw.rawHeaders.length / 2
  if (headers > limits.headersMax) {
    return {
      status: 431,
      code: 'too-many-headers',
      detail: `the request has ${headers} headers, at most ${limits.headersMax} are read`,
    }
  }
  const { url } = request.raw
  const mark = url?.indexOf('?') ?? -1
  return url === undefined || mark < 0 ? undefined : checkQuery(url.slice(mark + 1), limits)
}

function checkQuery(query: string, limits: HttpLimits): Problem | undefined {
  const pairs = query.split('&').filter((pair) => pair !== '')
  if (pairs.length > limits.queryParametersMax) {
    return bad(`the query has more than ${limits.queryParametersMax} parameters`)
  }
  const names = new Set<string>()
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    const value = decode(equals < 0 ? '' : pair.slice(equals + 1))
    if (name === undefined || value === undefined) {
      return bad('the query has a percent escape that is not UTF-8')
    }
    if (names.has(name)) return bad(`the parameter ${JSON.stringify(name)} is given twice`)
    names.add(name)
  }
  return undefined
}

function bad(detail: string): Problem {
  return { status: 400, code: 'bad-query', detail }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
