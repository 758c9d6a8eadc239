import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { printable, printableJson, printableJsonLine } from './printable.ts'

describe('printable', () => {
  it('shows terminal escapes instead of sending them', () => {
    expect(printable('a\u001b[2Jb\r\nc\u009b31m')).toBe('a\\u{1b}[2Jb\\u{d}\\u{a}c\\u{9b}31m')
  })

  it('shows bidirectional controls, separators and lone surrogates', () => {
    expect(printable('x\u202ey\u2028z\ud800')).toBe('x\\u{202e}y\\u{2028}z\\u{d800}')
  })

  it('leaves readable text of any script alone', () => {
    expect(printable('zähler/日本語/🙂/a b')).toBe('zähler/日本語/🙂/a b')
  })
})

describe('printableJson', () => {
  it('is JSON of the same value, without a control character but the layout', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
        const written = printableJson({ value, text })
        // Comparing texts: JSON has no -0, and the value went through JSON once.
        expect(JSON.stringify(JSON.parse(written))).toBe(JSON.stringify({ value, text }))
        const line = printableJsonLine({ value, text })
        expect(JSON.stringify(JSON.parse(line))).toBe(JSON.stringify({ value, text }))
        expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u)
        expect(written.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u)
      }),
    )
  })
})
