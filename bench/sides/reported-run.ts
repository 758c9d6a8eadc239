import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { whenEndedEarly } from '../ended-early.ts'
import type { BenchServers } from '../servers.ts'
import { type CostMeter, type Costs, withCostMeter } from './costs.ts'

/** What a child says: a line at the first event that counts, and one when all is done. */
const line = z.discriminatedUnion('at', [
  z.object({ at: z.literal('first') }),
  z.object({ at: z.literal('end'), events: z.number(), seconds: z.number() }),
])

const RUN_MS_MAX = 1_800_000

export type Program = { command: string; args: readonly string[]; cwd: string }

/** Called when the child has said its end and still runs. */
export type AtEnd = () => Promise<void> | void

export type ReportedRun = Costs & { seconds: number; eventsPerSecond: number }

/**
 * Runs a child that times itself and measures what it costs from its first line to its last. Then
 * its standard input is closed: it may finish up and end. Throws when it ends early, or not well,
 * or has seen another number of events.
 */
export async function runReported(
  servers: BenchServers,
  program: Program,
  events: number,
  atEnd: AtEnd = () => {},
): Promise<ReportedRun> {
  return withCostMeter(servers, (meter) => runMetered(meter, program, events, atEnd))
}

async function runMetered(
  meter: CostMeter,
  program: Program,
  events: number,
  atEnd: AtEnd,
): Promise<ReportedRun> {
  const child = spawn(program.command, program.args, {
    cwd: program.cwd,
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: RUN_MS_MAX,
  })
  const isDone = whenEndedEarly(() => void child.kill('SIGKILL'))
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(code === 0 ? '' : (signal ?? `code ${code}`)))
  })
  const done = { seconds: 0, events: 0 }
  let costs: Costs | undefined
  try {
    for await (const text of createInterface({ input: child.stdout })) {
      const said = line.safeParse(parseJson(text))
      if (!said.success) console.error(text)
      else if (said.data.at === 'first') await meter.begin(child.pid ?? 0)
      else {
        await meter.end()
        Object.assign(done, said.data)
        await atEnd()
        costs = await meter.costs()
        child.stdin.end()
      }
    }
    const how = await ended
    if (how !== '') throw new Error(`it ended with ${how}`)
  } finally {
    isDone()
    child.kill('SIGKILL')
  }
  if (costs === undefined) throw new Error('it ended without a result')
  if (done.events !== events) throw new Error(`it saw ${done.events} of ${events} events`)
  return { ...costs, seconds: done.seconds, eventsPerSecond: events / done.seconds }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
