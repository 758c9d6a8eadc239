import { createHmac, timingSafeEqual } from 'node:crypto'

const MAC_BYTES = 12
const CURSOR_CHARS_MAX = 8_192

/**
 * Where a list goes on: opaque, and signed, so that nobody can make one up. `scope` is what the list
 * is of: a cursor of one list is none of another.
 */
export function formatCursor(secret: Uint8Array, scope: readonly string[], after: string): string {
  const text = Buffer.from(after)
  return Buffer.concat([mac(secret, scope, text), text]).toString('base64url')
}

/** What formatCursor was given; undefined for anything that it did not make for this scope. */
export function parseCursor(
  secret: Uint8Array,
  scope: readonly string[],
  cursor: string,
): string | undefined {
  if (cursor.length > CURSOR_CHARS_MAX) return undefined
  const bytes = Buffer.from(cursor, 'base64url')
  if (bytes.length < MAC_BYTES || bytes.toString('base64url') !== cursor) return undefined
  const text = bytes.subarray(MAC_BYTES)
  if (!timingSafeEqual(bytes.subarray(0, MAC_BYTES), mac(secret, scope, text))) return undefined
  return text.toString()
}

function mac(secret: Uint8Array, scope: readonly string[], text: Uint8Array): Buffer {
  const hmac = createHmac('sha256', secret)
  hmac.update(JSON.stringify(['cursor', ...scope])).update(text)
  return hmac.digest().subarray(0, MAC_BYTES)
}
