import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { createHaltWatch } from './halt-watch.ts'
import { LOOPBACK } from './ports.ts'

const REASON = 'the log begins at 20: retention has passed offsets 5 to 19 uncounted'

let server: Server | undefined
afterEach(() => server?.close())

/** An API that answers with `answer.body`. */
async function answering(answer: { body: string }): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server = createServer((_, response) => response.end(answer.body))
  server.listen(0, LOOPBACK, resolve)
  await promise
  return `http://${LOOPBACK}:${(server.address() as AddressInfo).port}`
}

function statusOf(...halted: (string | undefined)[]): string {
  const partitions = halted.map((reason, partition) => {
    return { partition, state: reason === undefined ? 'live' : 'halted', halted: reason }
  })
  return JSON.stringify({ generation: 1, partitions })
}

test('a halted partition is told once, with why and what to do, and again when it goes on', async () => {
  const answer = { body: statusOf(undefined, REASON) }
  const lines: string[] = []
  const api = await answering(answer)
  const watch = createHaltWatch({ api, cli: 'npx countersink', say: (line) => lines.push(line) })
  await watch.look()
  expect(lines).toEqual([
    `Partition 1 is halted, and counts nothing until you decide: ${REASON}`,
    '  All partitions:       npx countersink status',
    '  What can be decided:  npx countersink gap accept --partition 1',
  ])
  await watch.look()
  expect(lines.length).toBe(3)
  answer.body = 'no JSON'
  await watch.look()
  expect(lines.length).toBe(3)
  answer.body = statusOf('the record differs', undefined)
  await watch.look()
  expect(lines.slice(3).join('\n')).toMatch(
    /^Partition 0 is halted.*: the record differs\n[^]*--partition 0\nPartition 1 is not halted any more\.$/,
  )
})
