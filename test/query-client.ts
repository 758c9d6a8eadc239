import { parsePosition } from '@countersink/shared/position'

export type QueryAnswer = {
  status: number
  headers: Headers
  body: Record<string, unknown>
}

export async function ask(url: string, init: RequestInit = {}): Promise<QueryAnswer> {
  const response = await fetch(url, init)
  const text = await response.text()
  const body: unknown = text.startsWith('{') ? JSON.parse(text) : { text }
  return { status: response.status, headers: response.headers, body: body as QueryAnswer['body'] }
}

export function post(url: string, value: unknown): Promise<QueryAnswer> {
  return ask(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(value),
  })
}

export function keyUrl(api: string, counter: string, key: string): string {
  return `${api}/v1/counters/${encodeURIComponent(counter)}/keys/${encodeURIComponent(key)}`
}

/** partition -> offset that an answer is counted to. */
export function positionOf({ body }: QueryAnswer): ReadonlyMap<number, number> {
  return parsePosition(String(body['position'])).next
}
