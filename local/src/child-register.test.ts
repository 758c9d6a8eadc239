import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createChildRegister, endLeftovers } from './child-register.ts'
import { identifyProcess } from './process-identity.ts'

let dir: string
let paths: { pids: string; children: string }
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'countersink-register-'))
  paths = { pids: join(dir, 'pids.json'), children: join(dir, 'children.json') }
})
afterEach(() => rmSync(dir, { recursive: true }))

/** A child that would stay until it is ended, in a group of its own like those of the stack. */
async function startIdler() {
  const script = `console.log('up'); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['-e', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await once(child.stdout, 'data')
  const { pid } = child
  if (pid === undefined) throw new Error('the child did not start')
  return { pid, exited: once(child, 'exit') }
}

test('pids.json has the pid of every child that runs', async () => {
  const idler = await startIdler()
  const register = createChildRegister(paths)
  expect(JSON.parse(readFileSync(paths.pids, 'utf8'))).toEqual({})
  register.put('kafka', idler.pid, 'SIGTERM')
  expect(JSON.parse(readFileSync(paths.pids, 'utf8'))).toEqual({ kafka: idler.pid })
  register.remove('kafka')
  expect(JSON.parse(readFileSync(paths.pids, 'utf8'))).toEqual({})
  process.kill(idler.pid, 'SIGKILL')
  await idler.exited
})

test('what an earlier start left running is ended', async () => {
  const idler = await startIdler()
  createChildRegister(paths).put('aggregator', idler.pid, 'SIGTERM')
  expect(await endLeftovers(paths, new Set(['kafka']))).toEqual(['aggregator'])
  expect(await idler.exited).toEqual([null, 'SIGTERM'])
  expect(await endLeftovers(paths, new Set())).toEqual([])
})

test('a child that was stopped by SIGSTOP is ended as well', async () => {
  const idler = await startIdler()
  createChildRegister(paths).put('kafka', idler.pid, 'SIGTERM')
  process.kill(idler.pid, 'SIGSTOP')
  expect(await endLeftovers(paths, new Set(['kafka']))).toEqual(['kafka'])
  await idler.exited
})

test('a pid that means another process by now is left alone', async () => {
  const idler = await startIdler()
  const identity = identifyProcess(idler.pid)
  const stranger = { name: 'kafka', stopSignal: 'SIGTERM', ...identity, startedAt: 'another time' }
  writeFileSync(paths.children, JSON.stringify([stranger]))
  expect(await endLeftovers(paths, new Set(['kafka']))).toEqual([])
  expect(identifyProcess(idler.pid)).toEqual(identity)
  process.kill(idler.pid, 'SIGKILL')
  await idler.exited
})

test('a register that is no register ends nothing and stops nobody', async () => {
  writeFileSync(paths.children, '[{"pid": -1}]')
  expect(await endLeftovers(paths, new Set())).toEqual([])
})
