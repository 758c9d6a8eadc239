import {
  KafkaJSConnectionError,
  KafkaJSNumberOfRetriesExceeded,
  KafkaJSProtocolError,
} from 'kafkajs'
import { expect, test } from 'vitest'
import { CountersinkError } from '../errors.ts'
import { kafkaErrorType, toCountersinkError } from './kafka-error.ts'

function protocolError(type: string): Error {
  const error = new KafkaJSProtocolError(new Error('from the broker'))
  return Object.assign(error, { type })
}

test('finds the broker error inside what retries wrapped around it', () => {
  const inner = protocolError('UNKNOWN_MEMBER_ID')
  const wrapped = new KafkaJSNumberOfRetriesExceeded(inner, { retryCount: 3, retryTime: 100 })
  expect(kafkaErrorType(wrapped)).toBe('UNKNOWN_MEMBER_ID')
  expect(kafkaErrorType(new AggregateError([inner]))).toBe('UNKNOWN_MEMBER_ID')
})

test('names kafkajs own errors, and nothing for others', () => {
  expect(kafkaErrorType(new KafkaJSConnectionError('x'))).toBe('KafkaJSConnectionError')
  expect(kafkaErrorType(new Error('x'))).toBe('')
  expect(kafkaErrorType('x')).toBe('')
})

test.each([
  [protocolError('UNKNOWN_TOPIC_OR_PARTITION'), 'TOPIC_MISSING', true],
  [protocolError('NOT_LEADER_FOR_PARTITION'), 'KAFKA_UNAVAILABLE', true],
  [new KafkaJSConnectionError('refused'), 'KAFKA_UNAVAILABLE', true],
  [protocolError('INVALID_CONFIG'), 'KAFKA_REFUSED', false],
])('maps %s to %s', (error, code, retryable) => {
  expect(toCountersinkError(error, 'trying')).toMatchObject({ code, retryable, cause: error })
})

test('our own errors pass unchanged, and hidden reasons are told', () => {
  const own = new CountersinkError('CLOSED', 'closed')
  expect(toCountersinkError(own, 'trying')).toBe(own)
  const several = new AggregateError([new Error('no such setting')], 'Topic creation errors')
  expect(toCountersinkError(several, 'making t').message).toBe('making t: no such setting')
})
