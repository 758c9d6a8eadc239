import { describe, expect, it } from 'vitest'
import { formatTable, grouped, plural, spoken } from './table.ts'

describe('formatTable', () => {
  it('aligns by code points and leaves no blanks at line ends', () => {
    const table = formatTable(
      [
        { title: 'key', align: 'left' },
        { title: 'total', align: 'right' },
        { title: 'state', align: 'left' },
      ],
      [
        ['🙂', '12', 'final'],
        ['long key', '3', ''],
      ],
    )
    expect(table).toEqual(['key       total  state', '🙂            12  final', 'long key      3'])
  })
})

describe('numbers for readers', () => {
  it('groups digits of any size', () => {
    expect(grouped(999)).toBe('999')
    expect(grouped(-1234567n)).toBe('-1,234,567')
    expect(grouped('18446744073709551616')).toBe('18,446,744,073,709,551,616')
    expect(plural(1, 'event')).toBe('1 event')
    expect(plural(2000, 'event')).toBe('2,000 events')
  })

  it('speaks of time in its largest unit', () => {
    expect([90, 1500, 90_000, 5_400_000, 86_400_000 * 12].map(spoken)).toEqual([
      '90 ms',
      '1.5 s',
      '1.5 min',
      '1.5 h',
      '12 d',
    ])
  })
})
