import { describe, expect, it } from 'vitest'
import type { Check } from './doctor.ts'
import { routingTopicChecks, topicChecks } from './doctor-kafka.ts'

function levels(config: Record<string, string>, checks = topicChecks): Check['level'][] {
  const description = {
    topic: 't',
    topicId: 'id',
    clusterId: 'c',
    partitions: [{ partition: 0, leader: 1 }],
    config: new Map(Object.entries(config)),
  }
  return checks(description).map((check) => check.level)
}

const GOOD = {
  'message.timestamp.type': 'LogAppendTime',
  'cleanup.policy': 'delete',
  'retention.ms': '604800000',
}

describe('topicChecks', () => {
  it('is content with append time, deletion and a week', () => {
    expect(levels(GOOD)).toEqual(['ok'])
    expect(levels({ ...GOOD, 'retention.ms': '-1' })).toEqual(['ok'])
  })

  it('fails on what makes counting wrong, and warns of a log that forgets soon', () => {
    expect(levels({ ...GOOD, 'message.timestamp.type': 'CreateTime' })).toEqual(['ok', 'fail'])
    expect(levels({ ...GOOD, 'cleanup.policy': 'compact,delete' })).toEqual(['ok', 'fail'])
    expect(levels({ ...GOOD, 'retention.ms': '3600000' })).toEqual(['ok', 'warn'])
  })
})

describe('routingTopicChecks', () => {
  const good = { 'message.timestamp.type': 'LogAppendTime', 'cleanup.policy': 'compact' }

  it('is content with append time and compaction, which deletes nothing there', () => {
    expect(levels(good, routingTopicChecks)).toEqual(['ok'])
  })

  it('fails on what loses versions, or lets nobody take them', () => {
    for (const wrong of [
      { 'message.timestamp.type': 'CreateTime' },
      { 'cleanup.policy': 'delete' },
      { 'cleanup.policy': 'compact,delete' },
    ]) {
      expect(levels({ ...good, ...wrong }, routingTopicChecks)).toEqual(['fail'])
    }
  })
})
