import { type CountEvent, parseEventBytes } from '@countersink/shared/event'
import { encodeRecordBatch, noStamp } from '@countersink/shared/kafka/record-batch-encoder'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import { expect, test } from 'vitest'
import { createRandom, mutate, spellEvent, spellPlainEvent } from './event-spellings.ts'
import { createFields, type Fields } from './fields.ts'
import { JsonScanner } from './json-scanner.ts'
import { RecordDecoder } from './record-decoder.ts'

const INPUTS = 120_000
const BATCH = 2500
const FAULTS_SHOWN = 3
/** Bytes of the batch that holds the records, before the first record. */
const BATCH_HEADER_BYTES = 61

/** What may stand behind a value in the buffer, and must never be taken for a part of it. */
const BEHIND = [
  '',
  '\0',
  '"',
  '"}',
  '}',
  '0',
  '123456789',
  ',"at":1}',
  '"key":"k"}',
  ' }',
  'a"}',
].map((text) => Buffer.from(text))

function textAt(fields: Fields, start: number, end: number): string {
  return Buffer.from(fields.bytes.buffer, fields.bytes.byteOffset, fields.bytes.length).toString(
    'utf8',
    start,
    end,
  )
}

/** One text for equal events; -0 is spelled, so that it differs from 0. */
function spelled(
  { id, counter, key, delta, at }: CountEvent,
  dims: readonly (readonly [string, string])[],
): string {
  const numbers = [delta, at].map((n) => (Object.is(n, -0) ? '-0' : String(n)))
  const sorted = dims.toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([id, counter, key, ...numbers, ...sorted])
}

/** What the decoder has left in the fields, as spelled. */
function found(fields: Fields): string {
  const { delta, at, dims, dimCount } = fields
  const id = textAt(fields, fields.idStart, fields.idEnd)
  const counter = textAt(fields, fields.counterStart, fields.counterEnd)
  const key = textAt(fields, fields.keyStart, fields.keyEnd)
  const pairs = Array.from({ length: dimCount }, (_, i) => {
    const [a = 0, b = 0, c = 0, d = 0] = dims.subarray(i * 4, i * 4 + 4)
    return [textAt(fields, a, b), textAt(fields, c, d)] as const
  })
  return spelled({ id, counter, key, delta, at }, pairs)
}

function expected(bytes: Buffer): string {
  const parsed = parseEventBytes(bytes)
  return parsed.ok ? spelled(parsed.event, [...(parsed.event.dims ?? [])]) : parsed.reason
}

function inputsOf(seed: number, count: number): Buffer[] {
  const random = createRandom(seed)
  return Array.from({ length: count }, () => {
    const bytes = Buffer.from(spellEvent(random, random.pick([0, 0.02, 0.1, 0.5])))
    return random.chance(0.5) ? bytes : mutate(random, bytes)
  })
}

/** All fuzz inputs through Kafka's record format, as the aggregator meets them. */
async function decodeAll(inputs: readonly Buffer[]): Promise<string[]> {
  const decoder = new RecordDecoder(createFields())
  const cursor = new RecordCursor()
  const records = inputs.map((value) => ({ key: null, value }))
  const batch = await encodeRecordBatch(records, 'none', noStamp, 0)
  const times = { baseTimestampMs: 0, maxTimestampMs: 0, logAppendTime: false }
  const section = batch.subarray(BATCH_HEADER_BYTES)
  const count = inputs.length
  cursor.open({ baseOffset: 0, nextOffset: count, count, ...times, records: section }, 0)
  const outcomes: string[] = []
  while (cursor.next()) outcomes.push(decoder.decode(cursor) ?? found(decoder.fields))
  return outcomes
}

test(`decoding a record has the slow path's outcome, on ${INPUTS} inputs`, async () => {
  const seed = randomSeed()
  const faults: string[] = []
  let valid = 0
  for (let done = 0; done < INPUTS; done += BATCH) {
    const inputs = inputsOf(seed + done, BATCH)
    const outcomes = await decodeAll(inputs)
    inputs.forEach((input, i) => {
      const outcome = expected(input)
      if (outcome.startsWith('[')) valid++
      if (outcomes[i] !== outcome) faults.push(fault(seed, input, outcomes[i], outcome))
    })
  }
  expect(faults.slice(0, FAULTS_SHOWN)).toEqual([])
  // Neither all right nor all wrong: both sides of every check are met.
  expect(valid / INPUTS).toBeGreaterThan(0.3)
  expect(valid / INPUTS).toBeLessThan(0.8)
})

test('what the scanner accepts is what the slow path reads, whatever stands behind it', () => {
  const seed = randomSeed()
  const random = createRandom(seed)
  const scanner = new JsonScanner()
  const fields = createFields()
  const faults: string[] = []
  let accepted = 0
  let handedOver = 0
  for (const input of inputsOf(seed, 40_000)) {
    const bytes = Buffer.concat([Buffer.from('\0"'), input, random.pick(BEHIND)])
    const outcome = expected(input)
    if (scanner.scan(bytes, 2, 2 + input.length, fields)) {
      accepted++
      if (found(fields) !== outcome) faults.push(fault(seed, input, found(fields), outcome))
    } else if (outcome.startsWith('[')) {
      handedOver++
    }
  }
  expect(faults.slice(0, FAULTS_SHOWN)).toEqual([])
  expect(accepted).toBeGreaterThan(10_000)
  expect(handedOver).toBeGreaterThan(500)
})

test('the scanner takes every plain event by itself', () => {
  const random = createRandom(randomSeed())
  const scanner = new JsonScanner()
  const fields = createFields()
  const faults: string[] = []
  for (let i = 0; i < 30_000; i++) {
    const text = spellPlainEvent(random)
    const bytes = Buffer.from(`${text}\0\0\0\0`)
    const scanned = scanner.scan(bytes, 0, bytes.length - 4, fields)
    if (!scanned || found(fields) !== expected(Buffer.from(text))) faults.push(text)
  }
  expect(faults.slice(0, FAULTS_SHOWN)).toEqual([])
})

/** Another one each time; a failure prints it. */
function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 31)
}

function fault(seed: number, input: Buffer, was: string | undefined, wanted: string): string {
  return `${was} instead of ${wanted}, seed ${seed}: ${input.toString('latin1')} ${input.toString('hex')}`
}
