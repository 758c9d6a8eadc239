import { createProducer, type Receipt } from '@countersink/producer'

/*
 * Adds events without an end and reports on stdout, a line a batch of receipts; to be killed.
 * Arguments: broker, topic, the buffer's bound in events, the format.
 */

const [broker = '', topic = '', bufferEventsMax = '1', format] = process.argv.slice(2)
const AT = 1_700_000_000_000
const REPORT_EVERY = 100

const producer = createProducer({
  brokers: [broker],
  topic,
  bufferEventsMax: Number(bufferEventsMax),
  format: format === 'json' ? 'json' : 'packed',
})
await producer.start()

let receipts: Receipt[] = []
let added = 0

function report(receipt: Receipt): void {
  receipts.push(receipt)
  if (receipts.length < REPORT_EVERY) return
  process.stdout.write(`${JSON.stringify({ added, receipts })}\n`)
  receipts = []
}

for (;;) {
  await producer.room()
  const i = added++
  const event = { id: `e${i}`, counter: 'views', key: `k${i % 31}`, at: AT + i }
  void producer.add(event).then(report)
}
