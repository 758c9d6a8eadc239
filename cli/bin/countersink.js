#!/usr/bin/env node
// Runs on any Node from 20 on: one that cannot run TypeScript hands over to the Node that is
// installed with the project. Only what Node 20 knows may stand in this file.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const MAIN = new URL('../src/main.ts', import.meta.url)

function runsTypeScript() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  return major >= 24 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18)
}

function newerNode() {
  try {
    return createRequire(import.meta.url).resolve('node/bin/node')
  } catch {
    process.stderr.write(
      `countersink: Node ${process.versions.node} is too old, and the npm package "node" is not installed.\n` +
        'Run `npm install` in the project, or use Node 24.\n',
    )
    process.exit(1)
  }
}

function handOver() {
  const args = [...process.execArgv, fileURLToPath(MAIN), ...process.argv.slice(2)]
  const child = spawn(newerNode(), args, { stdio: 'inherit' })
  // The terminal sends Ctrl-C to both; a signal to this process alone has to be passed on. The
  // child takes two that come together for one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal))
  }
  child.on('error', (error) => {
    process.stderr.write(`countersink: cannot start Node: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(name)
    process.kill(process.pid, signal)
  })
}

if (runsTypeScript()) {
  await import(MAIN.href)
} else {
  handOver()
}
