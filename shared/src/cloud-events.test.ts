import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromCloudEvent } from './cloud-events.ts'
import { parseEventText } from './event.ts'

const EVENT = {
  specversion: '1.0',
  id: 'e-1',
  source: '/shop',
  type: 'video_views',
  subject: 'v_123',
  time: '2024-05-01T12:00:00Z',
  data: { delta: 3, dims: { country: 'de' } },
}

const parse = (fields: Record<string, unknown>) =>
  parseEventText(JSON.stringify({ ...EVENT, ...fields }))

test('the attributes map onto an event', () => {
  expect(parse({ datacontenttype: 'application/json', extension: 'ignored' })).toEqual({
    ok: true,
    event: {
      id: '5:/shop:e-1',
      counter: 'video_views',
      key: 'v_123',
      delta: 3,
      at: Date.UTC(2024, 4, 1, 12),
      dims: new Map([['country', 'de']]),
    },
  })
})

test('no data, null data and empty data all count 1', () => {
  for (const data of [undefined, null, {}]) {
    expect(parse({ data })).toMatchObject({ ok: true, event: { delta: 1 } })
  }
})

test.each([
  [{ specversion: '0.3' }, 'unknown-version'],
  [{ specversion: 1 }, 'unknown-version'],
  [{ specversion: null }, 'unknown-version'],
  [{ id: undefined }, 'bad-cloud-event'],
  [{ id: '' }, 'bad-cloud-event'],
  [{ id: 7 }, 'bad-cloud-event'],
  [{ source: undefined }, 'bad-cloud-event'],
  [{ source: '' }, 'bad-cloud-event'],
  [{ type: undefined }, 'bad-cloud-event'],
  [{ subject: undefined }, 'bad-cloud-event'],
  [{ subject: ['v'] }, 'bad-cloud-event'],
  [{ data: 'text' }, 'bad-cloud-event'],
  [{ data: [1] }, 'bad-cloud-event'],
  [{ data: 5 }, 'bad-cloud-event'],
  [{ data: undefined, data_base64: 'eyJkZWx0YSI6NX0=' }, 'bad-cloud-event'],
  [{ time: 1_700_000_000_000 }, 'bad-cloud-event'],
  [{ time: undefined }, 'missing-at'],
  [{ time: 'yesterday' }, 'bad-at'],
  [{ type: ' ' }, 'bad-counter'],
  [{ subject: '' }, 'bad-key'],
  [{ source: 's'.repeat(300) }, 'bad-id'],
  [{ data: { delta: '3' } }, 'bad-delta'],
  [{ data: { delta: null } }, 'bad-delta'],
  [{ data: { dims: [] } }, 'bad-dims'],
])('%j is invalid: %s', (fields, reason) => {
  expect(parse(fields)).toEqual({ ok: false, reason })
})

test('two pairs of source and id never share an id', () => {
  const text = fc.string({ minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(text, text, text, text, (source, id, source2, id2) => {
      const a = fromCloudEvent({ ...EVENT, source, id })
      const b = fromCloudEvent({ ...EVENT, source: source2, id: id2 })
      expect(a?.['id'] === b?.['id']).toBe(source === source2 && id === id2)
    }),
  )
})
