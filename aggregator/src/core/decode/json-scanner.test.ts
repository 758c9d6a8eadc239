import { describe, expect, test } from 'vitest'
import { createFields } from './fields.ts'
import { JsonScanner } from './json-scanner.ts'

/** As in a section of records: something before the value, and at least a byte after each record. */
const BEFORE = Buffer.from('\x0c\x00')
const AFTER = Buffer.from('\0\x24\0\0\0\0\0\0')

/** What the scanner makes of the text; undefined when it hands it over. */
function scan(text: string) {
  const fields = createFields()
  const bytes = Buffer.concat([BEFORE, Buffer.from(text), AFTER])
  const end = bytes.length - AFTER.length
  if (!new JsonScanner().scan(bytes, BEFORE.length, end, fields)) return undefined
  expect(fields.bytes).toBe(bytes)
  const { idStart, idEnd, counterStart, counterEnd, keyStart, keyEnd, delta, at, dims } = fields
  return {
    id: bytes.toString('utf8', idStart, idEnd),
    counter: bytes.toString('utf8', counterStart, counterEnd),
    key: bytes.toString('utf8', keyStart, keyEnd),
    delta,
    at,
    dims: Array.from({ length: fields.dimCount }, (_, i) => {
      const [a, b, c, d] = dims.subarray(i * 4, i * 4 + 4)
      return [bytes.toString('utf8', a, b), bytes.toString('utf8', c, d)]
    }),
  }
}

const PLAIN = '{"id":"e1","counter":"views","key":"k1","delta":3,"at":1700000000000}'
const EVENT = { id: 'e1', counter: 'views', key: 'k1', delta: 3, at: 1700000000000, dims: [] }

describe('The scanner reads', () => {
  test('the JSON that our own SDK writes', () => expect(scan(PLAIN)).toEqual(EVENT))

  test('fields in any order, and 1 for a missing delta', () => {
    const text = '{"at":1700000000000,"key":"k1","counter":"views","id":"e1"}'
    expect(scan(text)).toEqual({ ...EVENT, delta: 1 })
  })

  test('white space where printers put it', () => {
    expect(scan(JSON.stringify(JSON.parse(PLAIN), null, 2))).toEqual(EVENT)
    expect(scan(`${PLAIN.replaceAll(':', ': ').replaceAll(',', ', ')}\r\n`)).toEqual(EVENT)
  })

  test.each([
    ['0', 0],
    ['-0', 0],
    ['-17', -17],
    ['12345678', 12345678],
    ['999999999999999', 999999999999999],
    ['-999999999999999', -999999999999999],
  ])('the delta %s', (source, delta) => {
    const event = scan(PLAIN.replace('"delta":3', `"delta":${source}`))
    // toEqual takes -0 for 0, and a sum must not be -0.
    expect(Object.is(event?.delta, delta)).toBe(true)
  })

  test('an RFC 3339 time', () => {
    const text = PLAIN.replace('1700000000000', '"2023-11-14T23:13:20.000+01:00"')
    expect(scan(text)).toEqual(EVENT)
  })

  test('dims, in the order they come', () => {
    const text = PLAIN.replace('}', ',"dims":{ "os" : "x", "country":"", "__proto__":"p" }}')
    // A space before a colon is nobody's style: handed over.
    expect(scan(text)).toBeUndefined()
    const dims = [
      ['os', 'x'],
      ['country', ''],
      ['__proto__', 'p'],
    ]
    expect(scan(text.replace('"os" :', '"os":'))).toEqual({ ...EVENT, dims })
    expect(scan(PLAIN.replace('}', ',"dims":{}}'))).toEqual(EVENT)
  })

  test('strings of every byte that is plain, at every place of a word, and no other', () => {
    const fields = createFields()
    const wrong: string[] = []
    for (let byte = 0; byte < 256; byte++) {
      const plain = byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c
      for (let place = 0; place < 12; place++) {
        const bytes = Buffer.from(`${PLAIN.replace('e1', 'x'.repeat(12))}\0\0\0\0`)
        bytes[bytes.indexOf('xx') + place] = byte
        const taken = new JsonScanner().scan(bytes, 0, bytes.length - 4, fields)
        if (taken !== plain) wrong.push(`${byte} at ${place}`)
      }
    }
    expect(wrong).toEqual([])
  })

  test('past other fields whose values are plain', () => {
    const others = '{"trace":"","a":-12,"b":true,"c":false,"d":null,"counters":"x","at2":1,'
    expect(scan(PLAIN.replace('{', others))).toEqual(EVENT)
  })
})

describe('The scanner hands over', () => {
  test.each([
    ['nothing', ''],
    ['what is no object', '[1]'],
    ['an empty object', '{}'],
    ['an event of a stated version', PLAIN.replace('{', '{"v":1,')],
    ['a CloudEvent', PLAIN.replace('{', '{"specversion":"1.0",')],
    ['a field twice', PLAIN.replace('{', '{"delta":3,')],
    ['a missing field', PLAIN.replace('"key":"k1",', '')],
    ['an empty id', PLAIN.replace('"e1"', '""')],
    ['a key that may be blank', PLAIN.replace('"k1"', '" "')],
    ['an escape', PLAIN.replace('k1', 'k\\u0031')],
    ['a name with an escape', PLAIN.replace('"id"', '"\\u0069d"')],
    ['what is not ASCII', PLAIN.replace('k1', 'ké')],
    ['a control character', PLAIN.replace('k1', 'k\t1')],
    ['a fraction', PLAIN.replace('3', '3.0')],
    ['an exponent', PLAIN.replace('3', '3e0')],
    ['a leading zero', PLAIN.replace('3', '03')],
    ['a long number', PLAIN.replace('3', '1234567890123456')],
    ['a number as a string', PLAIN.replace('3', '"3"')],
    ['a negative time', PLAIN.replace('17', '-17')],
    ['a time past the year 9999', PLAIN.replace('1700000000000', '253402300800000')],
    ['a time that there is not', PLAIN.replace('1700000000000', '"2023-02-29T00:00:00Z"')],
    ['a dim twice', PLAIN.replace('}', ',"dims":{"a":"1","a":"2"}}')],
    ['a dim that is no string', PLAIN.replace('}', ',"dims":{"a":1}}')],
    ['a nested value', PLAIN.replace('{', '{"trace":[],')],
    ['a comma too many', PLAIN.replace('}', ',}')],
    ['what is cut', PLAIN.slice(0, -1)],
    ['what goes on', `${PLAIN}x`],
    ['a byte-order mark', `\ufeff${PLAIN}`],
  ])('%s', (_, text) => expect(scan(text)).toBeUndefined())

  test('a value without its end, whatever follows it in the buffer', () => {
    const bytes = Buffer.from(PLAIN)
    const fields = createFields()
    for (let end = 0; end < bytes.length; end++) {
      expect(new JsonScanner().scan(bytes, 0, end, fields)).toBe(false)
    }
  })

  test('rather than to read behind the end of the buffer', () => {
    for (const last of ['"at":0', '"key":"k"', '"key":"k12"', '"key":"k123"', '"key":"k1234"']) {
      const members = ['"at":0', '"key":"k1"', '"id":"e"', '"counter":"c"']
      const others = members.filter((member) => member.slice(0, 5) !== last.slice(0, 5))
      const text = `{${[...others, last].join(',')}}`
      const bytes = Buffer.from(text)
      expect(() => new JsonScanner().scan(bytes, 0, bytes.length, createFields())).not.toThrow()
      expect(scan(text)).toMatchObject({ id: 'e', at: 0 })
    }
    const bytes = Buffer.from(PLAIN)
    expect(new JsonScanner().scan(bytes, 0, bytes.length + 1, createFields())).toBe(false)
  })
})
