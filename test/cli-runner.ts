import { spawn } from 'node:child_process'
import { join } from 'node:path'

export type CliRun = { code: number; stdout: string; stderr: string }

export type CliOptions = {
  env: Readonly<Record<string, string | undefined>>
  cwd?: string
  stdin?: string | Buffer
  /** Close stdout when so much of it was read, as `head` does. */
  readBytes?: number
}

const ENTRY = join(import.meta.dirname, '..', 'cli', 'bin', 'countersink.js')

export type CliProcess = {
  done: Promise<CliRun>
  signal: (name: NodeJS.Signals) => void
  /** What it has printed so far. */
  stdout: () => string
}

/** Starts the command as a user's shell would, with nothing in its environment but PATH and `env`. */
export function startCli(args: readonly string[], options: CliOptions): CliProcess {
  const child = spawn(process.execPath, [ENTRY, ...args], {
    cwd: options.cwd ?? import.meta.dirname,
    env: { PATH: '/usr/bin:/bin', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const run = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => {
    run.stdout += chunk.toString()
    if (run.stdout.length >= (options.readBytes ?? Infinity)) child.stdout.destroy()
  })
  child.stderr.on('data', (chunk: Buffer) => (run.stderr += chunk.toString()))
  // A command that ends before it has read everything is no fault of the test.
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')
  const { promise, resolve, reject } = Promise.withResolvers<CliRun>()
  child.on('error', reject)
  child.on('close', (code) => resolve({ code: code ?? -1, ...run }))
  return { done: promise, signal: (name) => child.kill(name), stdout: () => run.stdout }
}

export function runCli(args: readonly string[], options: CliOptions): Promise<CliRun> {
  return startCli(args, options).done
}

/** The run of a command that has to succeed. */
export async function runCliWell(args: readonly string[], options: CliOptions): Promise<CliRun> {
  const run = await runCli(args, options)
  if (run.code !== 0) throw new Error(`exit code ${run.code}: ${run.stderr}`)
  return run
}
