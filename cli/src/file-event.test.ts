import { describe, expect, it } from 'vitest'
import { eventOfLine, type FileEventOptions, sourceNameOf } from './file-event.ts'

const OPTIONS: FileEventOptions = { sourceName: 'a.ndjson', now: undefined }

function parse(text: string, options = OPTIONS, number = 1): ReturnType<typeof eventOfLine> {
  return eventOfLine({ number, bytes: Buffer.from(text) }, options)
}

function idOf(text: string, options = OPTIONS, number = 1): string {
  const parsed = parse(text, options, number)
  if (parsed?.ok !== true) throw new Error(`not an event: ${text}`)
  return parsed.event.id
}

describe('eventOfLine', () => {
  it('keeps the id and time of a line that has them', () => {
    const parsed = parse('{"id":"1","counter":"c","key":"k","delta":2,"at":"1970-01-01T00:00:01Z"}')
    expect(parsed).toEqual({
      ok: true,
      event: { id: '1', counter: 'c', key: 'k', delta: 2, at: 1000 },
    })
  })

  it('makes the same id for the same line of the same source, and only for it', () => {
    const line = '{"counter":"c","key":"k","at":5}'
    expect(idOf(line)).toBe(idOf(`${line}\r`))
    const ids = [
      idOf(line),
      idOf(line, OPTIONS, 2),
      idOf(line, { ...OPTIONS, sourceName: 'b.ndjson' }),
      idOf('{"counter":"c","key":"k","at":6}'),
    ]
    expect(new Set(ids).size).toBe(4)
    expect(sourceNameOf('/x/a.ndjson.gz')).toBe(sourceNameOf('y/a.ndjson'))
  })

  it('wants the time of an event, unless it is told to stamp those without an id', () => {
    expect(parse('{"counter":"c","key":"k"}')).toEqual({ ok: false, reason: 'missing-at' })
    const stamping = { ...OPTIONS, now: () => 77 }
    expect(parse('{"counter":"c","key":"k"}', stamping)).toMatchObject({ event: { at: 77 } })
    expect(idOf('{"counter":"c","key":"k"}', stamping)).not.toBe(
      idOf('{"counter":"c","key":"k"}', stamping),
    )
    const retried = parse('{"id":"1","counter":"c","key":"k"}', stamping)
    expect(retried).toEqual({ ok: false, reason: 'missing-at' })
  })

  it('reads CloudEvents', () => {
    const parsed = parse(
      '{"specversion":"1.0","id":"1","source":"s","type":"c","subject":"k","time":"1970-01-01T00:00:01Z"}',
    )
    expect(parsed).toMatchObject({ ok: true, event: { counter: 'c', key: 'k', at: 1000 } })
  })

  it('has a reason for every line that is no event, and none for a blank one', () => {
    expect(parse(' \r')).toBeUndefined()
    expect(parse('{"id":1')).toEqual({ ok: false, reason: 'not-json' })
    expect(parse('[1]')).toEqual({ ok: false, reason: 'not-an-object' })
    expect(eventOfLine({ number: 1, bytes: Buffer.from([0xff]) }, OPTIONS)).toEqual({
      ok: false,
      reason: 'not-utf8',
    })
    expect(eventOfLine({ number: 1, bytes: undefined }, OPTIONS)).toEqual({
      ok: false,
      reason: 'too-large',
    })
  })
})
