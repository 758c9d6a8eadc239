import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { createChildRegister } from './child-register.ts'
import type { ChildSpec } from './child.ts'
import { freePort } from './ports.ts'
import { httpAnswers } from './probes.ts'
import { identifyProcess } from './process-identity.ts'
import { createSupervisor, restartDelayMs, type Supervisor } from './supervisor.ts'

let dir: string
let supervisor: Supervisor
const said: string[] = []
const pids = () => {
  const text = readFileSync(join(dir, 'pids.json'), 'utf8')
  return z.record(z.string(), z.number()).parse(JSON.parse(text))
}
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'countersink-supervisor-'))
  said.length = 0
  const paths = { pids: join(dir, 'pids.json'), children: join(dir, 'children.json') }
  supervisor = createSupervisor({
    register: createChildRegister(paths),
    logsDir: dir,
    say: (line) => said.push(line),
  })
})
afterEach(async () => {
  await supervisor.stop()
  rmSync(dir, { recursive: true })
})

/** A small HTTP server in a process of its own; `prelude` runs first in it. */
async function httpChild(name: string, prelude = ''): Promise<ChildSpec> {
  const port = await freePort()
  const server = `require('http').createServer((q, r) => r.end('ok')).listen(${port}, '127.0.0.1')`
  return {
    name,
    command: process.execPath,
    args: () => ['-e', `${prelude}; ${server}`],
    env: {},
    cwd: dir,
    logPath: join(dir, `${name}.log`),
    probe: () => httpAnswers(port, '/'),
    readyMsMax: 20_000,
    stopSignal: 'SIGTERM',
    stopMsMax: 500,
  }
}

test('the wait before a restart doubles up to its bound', () => {
  expect([1, 2, 3, 4, 100].map(restartDelayMs)).toEqual([100, 200, 400, 800, 5000])
})

test('a child that is killed is started again and its new pid written down', async () => {
  const spec = await httpChild('gateway')
  await supervisor.add(spec)
  const first = pids()['gateway'] ?? 0
  expect(identifyProcess(first)).toBeDefined()
  process.kill(first, 'SIGKILL')
  await vi.waitFor(() => expect(said.at(-1)).toMatch(/^gateway is back after/), 20_000)
  expect(said[0]).toBe('gateway ended (SIGKILL); starting it again in 0.1 s')
  expect(pids()['gateway']).not.toBe(first)
  expect(await spec.probe()).toBe(true)
})

test('a child that says why it ends is quoted', async () => {
  const fatal = JSON.stringify({ level: 'fatal', msg: 'no such topic' })
  const dying = `process.on('SIGUSR2', () => { console.log('${fatal}'); process.exit(1) })`
  await supervisor.add(await httpChild('aggregator', dying))
  process.kill(pids()['aggregator'] ?? 0, 'SIGUSR2')
  await vi.waitFor(() => expect(said.length).toBeGreaterThan(0), 20_000)
  expect(said[0]).toBe('aggregator ended (code 1: no such topic); starting it again in 0.1 s')
})

test('a child that was stopped stays so, and one that does not listen is killed', async () => {
  const polite = await httpChild('kafka')
  const deaf = await httpChild('redis', `process.on('SIGTERM', () => {})`)
  await Promise.all([supervisor.add(polite), supervisor.add(deaf)])
  const pidsBefore = Object.values(pids())
  expect(pidsBefore).toHaveLength(2)
  await supervisor.stop(new Set(['kafka']))
  expect(Object.keys(pids())).toEqual(['redis'])
  await supervisor.stop()
  await supervisor.stop()
  expect(pids()).toEqual({})
  expect(pidsBefore.map(identifyProcess)).toEqual([undefined, undefined])
  expect(said).toEqual([])
})

test('a child that ends while it starts says so with the end of its log', async () => {
  const spec = await httpChild('postgres', `console.error('no such disk'); process.exit(3)`)
  await expect(supervisor.add(spec)).rejects.toThrow(/ended at once \(code 3\)[^]*no such disk/)
})

test('what a child writes is in its log, over all of its lives', async () => {
  const spec = await httpChild('aggregator', `console.log('one life')`)
  writeFileSync(spec.logPath, 'before\n')
  await supervisor.add(spec)
  process.kill(pids()['aggregator'] ?? 0, 'SIGKILL')
  await vi.waitFor(() => expect(said.at(-1)).toMatch(/^aggregator is back/), 20_000)
  expect(readFileSync(spec.logPath, 'utf8')).toBe('before\none life\none life\n')
})
