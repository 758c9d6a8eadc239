import { describe, expect, it } from 'vitest'
import { progressLine } from './progress.ts'

describe('progressLine', () => {
  it('shows how far sending is, with a bar on a terminal only', () => {
    const state = { phase: 'sending', part: 0.5, sent: 1000, settled: 400 } as const
    expect(progressLine(state, 2000, true)).toBe(
      'sending [##########..........]  50%  1,000 sent, 400 counted, 500/s',
    )
    expect(progressLine(state, 2000, false)).toBe('sending: 50%, 1,000 sent, 400 counted, 500/s')
  })

  it('knows no part of a stream until all of it is sent', () => {
    const stream = { part: undefined, sent: 10, settled: 5 }
    expect(progressLine({ ...stream, phase: 'sending' }, 1000, true)).toBe(
      'sending: 10 sent, 5 counted, 10/s',
    )
    expect(progressLine({ ...stream, phase: 'counting' }, 1000, false)).toBe(
      'counting: 50%, 5 of 10 counted',
    )
  })
})
