import { describe, expect, it } from 'vitest'
import { progressLine } from './progress.ts'

const moving = (elapsedMs: number) => ({ elapsedMs, stillMs: 0 })

describe('progressLine', () => {
  it('shows how far sending is, with a bar on a terminal only', () => {
    const state = { phase: 'sending', part: 0.5, sent: 1000, settled: 400 } as const
    expect(progressLine(state, moving(2000), true)).toBe(
      'sending [##########..........]  50%  1,000 sent, 400 counted, 500/s',
    )
    expect(progressLine(state, moving(2000), false)).toBe(
      'sending: 50%, 1,000 sent, 400 counted, 500/s',
    )
  })

  it('knows no part of a stream until all of it is sent', () => {
    const stream = { part: undefined, sent: 10, settled: 5 }
    expect(progressLine({ ...stream, phase: 'sending' }, moving(1000), true)).toBe(
      'sending: 10 sent, 5 counted, 10/s',
    )
    expect(progressLine({ ...stream, phase: 'counting' }, moving(1000), false)).toBe(
      'counting: 50%, 5 of 10 counted',
    )
  })

  it('says that nothing moves, and who may know why', () => {
    const state = { phase: 'sending', part: 0.5, sent: 1000, settled: 400 } as const
    const still = { elapsedMs: 20_000, stillMs: 12_345 }
    const line = progressLine(state, still, true)
    expect(line).toBe(
      'sending: 50%, nothing new for 12 s (ask countersink doctor), 1,000 sent, 400 counted, 50/s',
    )
    // What matters stands before the place where a narrow terminal cuts it.
    expect(line.slice(0, 60)).toContain('doctor')
    expect(progressLine({ ...state, part: undefined }, still, false)).toBe(
      'sending: nothing new for 12 s, 1,000 sent, 400 counted, 50/s',
    )
  })
})
