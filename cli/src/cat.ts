import { CountersinkError } from '@countersink/shared/errors'
import type { CorruptBatch, FetchedBatch } from '@countersink/shared/kafka/fetched-batch'
import { RecordCursor } from '@countersink/shared/kafka/record-batch'
import { createTopicReader } from '@countersink/shared/kafka/topic-reader'
import { createLogger } from '@countersink/shared/log'
import { parseRecordEvents } from '@countersink/shared/record-parser'
import { type CatPrinter, createCatPrinter } from './cat-printer.ts'
import { type CatStart, type Held, resolveStarts } from './cat-start.ts'
import { requireBrokers, requireTopic } from './config.ts'
import type { CommandContext } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { withKafkaAdmin } from './kafka-admin.ts'

/** Without an answer from Kafka for so long, reading up to the end has failed. */
const SILENCE_MS_MAX = 15_000
const SILENCE_CHECK_MS = 1000

export type CatOptions = {
  json: boolean
  /** Empty means all. */
  partitions: readonly number[]
  from: CatStart
  /** Events; Infinity without a limit. */
  limit: number
  follow: boolean
}

/** Prints what is in the topic now, or what comes until Ctrl-C. */
export async function cat(options: CatOptions, context: CommandContext): Promise<ExitCode> {
  const { settings, terminal } = context
  const brokers = requireBrokers(settings)
  const topic = requireTopic(settings)
  const held = await withKafkaAdmin(brokers, async (admin) => {
    const [starts, ends] = await Promise.all([admin.startOffsets(topic), admin.endOffsets(topic)])
    return new Map(
      [...starts].map(([partition, first]): [number, Held] => {
        return [partition, { first, end: Math.max(first, ends.get(partition) ?? first) }]
      }),
    )
  })
  const starts = resolveStarts(options.from, options.partitions, held)
  const printer = createCatPrinter(options, terminal)
  try {
    await readAll({ brokers, topic, starts, held, printer, options, context })
  } finally {
    printer.flush()
    terminal.note(terminal.paintNote('dim', printer.summary()))
  }
  return EXIT.ok
}

type Reading = {
  brokers: readonly string[]
  topic: string
  starts: ReadonlyMap<number, number>
  held: ReadonlyMap<number, Held>
  printer: CatPrinter
  options: CatOptions
  context: CommandContext
}

/** Resolves at the end of all partitions or at the limit, rejects when reading has failed. */
async function readAll(reading: Reading): Promise<void> {
  const { brokers, topic, held, printer, options, context } = reading
  const endOf = (partition: number): number =>
    options.follow ? Infinity : (held.get(partition)?.end ?? 0)
  const unread = new Map([...reading.starts].filter(([one, offset]) => offset < endOf(one)))
  if (unread.size === 0) return
  const done = Promise.withResolvers<void>()
  const cursor = new RecordCursor()
  let isOver = false

  function take(batch: FetchedBatch): void {
    const { partition, corrupt } = batch
    if (isOver || !unread.has(partition)) return
    if (!printBatch(batch, endOf(partition), cursor, printer)) {
      done.resolve()
      isOver = true
      return
    }
    printer.flush()
    if (batch.nextOffset >= endOf(partition)) {
      unread.delete(partition)
      reader.finish(partition)
    }
    if (unread.size === 0) done.resolve()
    else if (corrupt !== undefined) throw damaged(partition, corrupt)
  }

  const reader = createTopicReader({
    brokers,
    clientId: 'countersink-cli',
    topic,
    starts: unread,
    logger: createLogger('cli', 'silent'),
    onBatch(batch) {
      try {
        take(batch)
      } catch (error) {
        done.reject(error)
      }
      return Promise.resolve()
    },
    onOutOfRange: (partition, offset, why) => done.reject(outOfRange(partition, offset, why)),
  })
  const onAbort = (): void => done.reject(context.signal.reason)
  context.signal.addEventListener('abort', onAbort)
  const watch = watchSilence(() => reader.lastFetchAt(), options.follow, context, done.reject)
  try {
    context.signal.throwIfAborted()
    reader.start()
    await done.promise
  } finally {
    isOver = true
    clearInterval(watch)
    context.signal.removeEventListener('abort', onAbort)
    await reader.stop()
  }
}

/** False when the limit is reached. Throws when a batch cannot be walked. */
function printBatch(
  fetched: FetchedBatch,
  end: number,
  cursor: RecordCursor,
  printer: CatPrinter,
): boolean {
  const { partition, fetchedOffset } = fetched
  for (const batch of fetched.batches) {
    cursor.open(batch, fetchedOffset)
    while (cursor.next() && cursor.offset < end) {
      const { offset, timestampMs } = cursor
      const { encoding, events } = parseRecordEvents(cursor)
      if (!printer.record({ partition, offset, timestampMs, encoding }, events)) return false
    }
    if (cursor.malformed !== '') {
      const { malformedOffset: offset, malformed: reason } = cursor
      throw damaged(partition, { offset, reason, nextOffset: batch.nextOffset })
    }
  }
  return true
}

function watchSilence(
  lastFetchAt: () => number,
  follow: boolean,
  { terminal }: CommandContext,
  fail: (error: Error) => void,
): NodeJS.Timeout {
  const begunAt = Date.now()
  let hasWarned = false
  return setInterval(() => {
    const isSilent = Date.now() - Math.max(lastFetchAt(), begunAt) > SILENCE_MS_MAX
    if (!isSilent) hasWarned = false
    else if (!follow) fail(new CountersinkError('KAFKA_UNAVAILABLE', 'Kafka does not answer'))
    else if (!hasWarned) {
      hasWarned = true
      terminal.warn('Kafka does not answer; still trying')
    }
  }, SILENCE_CHECK_MS)
}

function damaged(
  partition: number,
  { offset, reason, nextOffset }: CorruptBatch,
): CountersinkError {
  const behind =
    nextOffset === undefined ? 'name a later offset with --from' : `add --from ${nextOffset}`
  return new CountersinkError(
    'KAFKA_REFUSED',
    `partition ${partition} cannot be read at offset ${offset}: ${reason}.\n` +
      `The aggregator halts there, too. To look behind it, ${behind}.`,
  )
}

function outOfRange(partition: number, offset: number, why: string): CountersinkError {
  const what =
    why === 'other-topic'
      ? 'the topic was deleted and made again while it was read'
      : `partition ${partition} does not hold offset ${offset} any more`
  return new CountersinkError('KAFKA_REFUSED', `${what}: run it again`)
}
