import { describe, expect, it } from 'vitest'
import type { Line } from './file-lines.ts'
import { type Placed, sendLines, type SenderOptions, type SendResult } from './publish-sender.ts'

function linesOf(count: number): Line[] {
  return Array.from({ length: count }, (_, i) => ({
    number: i + 1,
    bytes: Buffer.from(`{"id":"${i}","counter":"c","key":"k","at":${i}}`),
  }))
}

async function* lists(lines: Line[], size: number): AsyncGenerator<Line[]> {
  for (let i = 0; i < lines.length; i += size) yield lines.slice(i, i + size)
}

async function run(options: Partial<SenderOptions>): Promise<SendResult> {
  const result: SendResult = {
    lines: 0,
    invalidLines: 0,
    delivered: 0,
    undelivered: 0,
    failure: undefined,
  }
  await sendLines(
    {
      lines: lists(linesOf(10), 3),
      events: { sourceName: 'x', now: undefined },
      add: () => Promise.resolve({ partition: 0, offset: 0 }),
      strict: false,
      signal: new AbortController().signal,
      onEvent: () => {},
      onInvalid: () => {},
      onPlaced: () => {},
      room: () => Promise.resolve(),
      abandon: () => {},
      stallMsMax: 60_000,
      ...options,
    },
    result,
  )
  return result
}

describe('sendLines', () => {
  it('adds the events in the order of their lines', async () => {
    const added: unknown[] = []
    const result = await run({
      add: (event) => {
        added.push(event.id)
        return Promise.resolve({ partition: 0, offset: added.length })
      },
    })
    expect(added).toEqual(Array.from({ length: 10 }, (_, i) => String(i)))
    expect(result).toMatchObject({ lines: 10, delivered: 10, undelivered: 0, failure: undefined })
  })

  it('gives up all events together when nothing is acknowledged any more', async () => {
    const refusals: ((error: Error) => void)[] = []
    let acknowledged = 0
    const result = await run({
      add: () => {
        if (acknowledged++ < 2) return Promise.resolve({ partition: 0, offset: acknowledged })
        return new Promise<Placed>((_, reject) => refusals.push(reject))
      },
      abandon: () => refusals.splice(0).forEach((reject) => reject(new Error('abandoned'))),
      stallMsMax: 100,
    })
    expect(result).toMatchObject({ delivered: 2, undelivered: 8 })
    expect(result.failure).toMatchObject({ code: 'TIMED_OUT', retryable: true })
  })

  it('sends nothing more once an event has failed', async () => {
    let adds = 0
    const result = await run({
      lines: lists(linesOf(10), 1),
      add: () =>
        ++adds === 3
          ? Promise.reject(new Error('no'))
          : Promise.resolve({ partition: 0, offset: adds }),
      // What is read next comes in a later turn of the event loop.
      room: () => new Promise((resolve) => setImmediate(resolve)),
    })
    expect(result).toMatchObject({ delivered: 2, undelivered: 1, failure: new Error('no') })
    expect(adds).toBe(3)
  })

  it('ends with what is under way when it is interrupted', async () => {
    const interrupt = new AbortController()
    let adds = 0
    const result = await run({
      signal: interrupt.signal,
      add: () => {
        if (++adds === 4) interrupt.abort()
        return Promise.resolve({ partition: 0, offset: adds })
      },
    })
    expect(result).toMatchObject({ delivered: 4, undelivered: 0 })
  })
})
