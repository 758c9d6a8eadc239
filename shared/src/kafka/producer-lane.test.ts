import { describe, expect, test } from 'vitest'
import { CountersinkError } from '../errors.ts'
import { createLane } from './producer-lane.ts'

const late = new CountersinkError('KAFKA_UNAVAILABLE', 'too late', { retryable: true })

function records(count: number, bytes = 10): { key: null; value: Buffer }[] {
  return Array.from({ length: count }, () => ({ key: null, value: Buffer.alloc(bytes) }))
}

describe('a lane', () => {
  test('joins what waits to one batch and tells each send its own offset', async () => {
    const lane = createLane('t', 0)
    const first = lane.add(records(2), 1_000)
    const second = lane.add(records(3), 1_000)
    const attempt = lane.take(7n)
    expect(attempt?.records).toHaveLength(5)
    expect(attempt?.stamp).toEqual({ producerId: 7n, epoch: 0, sequence: 0 })
    lane.succeed(40, -1)
    expect(await first.delivered).toEqual({ baseOffset: 40, logAppendTimeMs: -1 })
    expect(await second.delivered).toEqual({ baseOffset: 42, logAppendTimeMs: -1 })
  })

  test('a batch that is tried again is the same, and the next continues the sequence', () => {
    const lane = createLane('t', 0)
    void lane.add(records(2), 1_000)
    const first = lane.take(7n)
    void lane.add(records(1), 1_000)
    expect(lane.take(8n)).toEqual(first)
    lane.succeed(0, -1)
    expect(lane.take(8n)?.stamp).toEqual({ producerId: 7n, epoch: 0, sequence: 2 })
  })

  test('joins no more than a batch may hold', () => {
    const lane = createLane('t', 0)
    for (let i = 0; i < 3; i++) void lane.add(records(1, 400_000), 1_000)
    expect(lane.take(7n)?.records).toHaveLength(2)
  })

  test('a batch that was refused as too large is tried send by send', async () => {
    const lane = createLane('t', 0)
    const sends = [lane.add(records(2), 1_000), lane.add(records(1), 1_000)]
    lane.take(7n)
    expect(lane.split()).toBe(true)
    expect(lane.take(7n)?.records).toHaveLength(2)
    expect(lane.split()).toBe(false)
    lane.fail(late)
    await expect(sends[0]?.delivered).rejects.toBe(late)
    expect(lane.take(7n)?.stamp.sequence).toBe(0)
    lane.succeed(9, -1)
    expect((await sends[1]?.delivered)?.baseOffset).toBe(9)
  })

  test('a batch given up in doubt ends its sequence: the next has a new producer id', async () => {
    const lane = createLane('t', 0)
    const given = lane.add(records(2), 1_000)
    lane.take(7n)
    expect(lane.expire(999, late)).toBe(false)
    expect(lane.expire(1_000, late)).toBe(true)
    await expect(given.delivered).rejects.toBe(late)
    void lane.add(records(1), 2_000)
    expect(lane.take(8n)?.stamp).toEqual({ producerId: 8n, epoch: 0, sequence: 0 })
  })

  test('what was never sent fails without doubt', async () => {
    const lane = createLane('t', 0)
    const given = lane.add(records(1), 1_000)
    expect(lane.expire(2_000, late)).toBe(false)
    await expect(given.delivered).rejects.toBe(late)
    expect(lane.hasWork()).toBe(false)
  })

  test('an offset that the broker forgot stays unknown for every send', async () => {
    const lane = createLane('t', 0)
    const sends = [lane.add(records(2), 1_000), lane.add(records(1), 1_000)]
    lane.take(7n)
    lane.succeed(-1, -1)
    for (const { delivered } of sends) expect((await delivered).baseOffset).toBe(-1)
  })

  test('close fails whatever is left', async () => {
    const lane = createLane('t', 0)
    const given = lane.add(records(1), 1_000)
    lane.close(late)
    await expect(given.delivered).rejects.toBe(late)
  })
})
