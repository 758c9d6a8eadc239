// The entry of npm start, demo, test, aggregator, query-api and gateway. It is plain JavaScript
// without dependencies because it has to run on whatever Node >= 20 the machine has, before
// anything is installed: it installs what is missing and then hands over to the project's own
// Node 24, which runs the TypeScript as it is.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR_MIN = 20
/** How often a start by npm looks whether npm is still there; a kill -9 of npm reaches nobody else. */
const LAUNCHER_CHECK_MS = 500

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const node24 = join(root, 'node_modules', '.bin', 'node')
/** Compiled code of every process that is started from here: each comes up half a second sooner. */
const compileCache = join(root, 'node_modules', '.cache', 'node-compile')
const services = JSON.parse(readFileSync(join(root, 'local', 'service-entries.json'), 'utf8'))

/** What each command runs, from the project's root. */
function commandLine(command) {
  if (command === 'start' || command === 'demo') return ['local/src/main.ts', command]
  if (command === 'test') return ['local/src/test-run.ts']
  const service = services[command]
  return service && [...service.nodeArgs, service.entry]
}

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

/** Says what of package-lock.json is not installed: 'all', 'some' or undefined. */
function missingInstall() {
  const installed = readLock(join(root, 'node_modules', '.package-lock.json'))
  if (!installed) return 'all'
  const wanted = readLock(join(root, 'package-lock.json')) ?? {}
  const outdated = Object.entries(wanted).some(([path, entry]) => {
    // Optional packages are for other systems, links are the project's own folders.
    if (path === '' || entry.optional || entry.devOptional || entry.link || !entry.version)
      return false
    if (!path.includes('node_modules/')) return false
    return installed[path]?.version !== entry.version
  })
  if (outdated) return 'some'
  // The package "node" fetches the binary for this system in a script of its own.
  return existsSync(node24) ? undefined : 'all'
}

function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages
  } catch {
    return undefined
  }
}

function install() {
  const missing = missingInstall()
  if (!missing) return
  // `npm ci` begins by removing node_modules: right for a fresh clone, too much after an update.
  const args = missing === 'all' ? ['ci'] : ['install', '--no-save']
  process.stderr.write(
    `Installing the project's packages (npm ${args.join(' ')}); this takes a minute or so…\n`,
  )
  const done = spawnSync('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    // stdout belongs to the command that follows.
    stdio: ['ignore', 2, 2],
  })
  if (done.error) fail(`npm could not be started: ${done.error.message}. Is npm on the PATH?`)
  if (done.status !== 0) {
    fail(`npm ${args.join(' ')} failed (above it says why). Run it by hand in ${root}, then again.`)
  }
  if (existsSync(node24)) return
  fail(
    `The package "node" did not bring its binary: were install scripts switched off?\n` +
      `Run: npm rebuild node --ignore-scripts=false`,
  )
}

function run(line, args) {
  const quiet = '--disable-warning=ExperimentalWarning'
  const child = spawn(node24, [quiet, ...line, ...args], {
    cwd: root,
    env: { NODE_COMPILE_CACHE: compileCache, ...process.env },
    // The channel tells the child at once when this process is gone, however it went.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  child.on('error', (error) => fail(`${node24} could not be started: ${error.message}`))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal))
  }
  watchLauncher(child)
  child.on('exit', (code, signal) => {
    process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1))
  })
}

/** Whoever kills npm means what npm started. Without npm a changed parent means nothing (nohup). */
function watchLauncher(child) {
  if (!process.env.npm_lifecycle_event) return
  const launchers = launchersOf(process)
  const check = setInterval(() => {
    if (launchersOf(process) === launchers) return
    // Once: a second signal would mean "at once", and end Kafka and Postgres as a kill -9 does.
    clearInterval(check)
    child.kill('SIGTERM')
  }, LAUNCHER_CHECK_MS)
  check.unref()
}

/** The parent and, as npm mostly puts a shell between itself and us, the parent's parent. */
function launchersOf({ ppid }) {
  try {
    const stat = readFileSync(`/proc/${ppid}/stat`, 'latin1')
    const [, grandparent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return `${ppid} ${grandparent}`
  } catch {
    // No /proc: there the shell is npm's last command and hands its process over to us.
    return String(ppid)
  }
}

const [command = '', ...args] = process.argv.slice(2)
const line = commandLine(command)
if (!line) {
  fail(`usage: node local/run.js start|demo|test|${Object.keys(services).join('|')} [options]`)
}
if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  fail(
    `Node ${NODE_MAJOR_MIN} or newer is needed; this is ${process.versions.node}. See nodejs.org.`,
  )
}
if (process.platform === 'win32') {
  fail('The local stack needs Linux or macOS; on Windows use WSL (wsl --install).')
}
install()
run(line, args)
