import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatCursor, parseCursor } from './cursor.ts'

const SECRET = Buffer.from('0123456789abcdef')
const SCOPE = ['keys', 'views', 'v_']

test('a cursor comes back in its own list and in no other', () => {
  const text = fc.string({ unit: 'grapheme' }).filter((key) => key.isWellFormed())
  fc.assert(
    fc.property(text, (after) => {
      const cursor = formatCursor(SECRET, SCOPE, after)
      expect(parseCursor(SECRET, SCOPE, cursor)).toBe(after)
      expect(parseCursor(SECRET, ['keys', 'views', ''], cursor)).toBeUndefined()
      expect(parseCursor(SECRET, ['keys', 'viewsv_', ''], cursor)).toBeUndefined()
      expect(parseCursor(Buffer.from('other secret'), SCOPE, cursor)).toBeUndefined()
    }),
  )
})

test('no other text is a cursor', () => {
  const cursor = formatCursor(SECRET, SCOPE, 'v_1')
  expect(parseCursor(SECRET, SCOPE, `${cursor}=`)).toBeUndefined()
  expect(parseCursor(SECRET, SCOPE, cursor.slice(0, -1))).toBeUndefined()
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(parseCursor(SECRET, SCOPE, text)).toBeUndefined()
      expect(parseCursor(SECRET, SCOPE, Buffer.from(text).toString('base64url'))).toBeUndefined()
    }),
  )
})
