import { execFile } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Program } from './reported-run.ts'

const BENCH = join(import.meta.dirname, '..')
const BUILD_MS_MAX = 900_000

/** A Maven project in bench/<name>/ whose jar is `<name>-1.jar` and whose main class is peer.Peer. */
export type JavaPeer = { name: string; goals: readonly string[]; options: readonly string[] }

/** Builds it unless it is built already and not changed since. */
export async function buildJava(peer: JavaPeer): Promise<void> {
  const folder = join(BENCH, peer.name)
  const jar = join(folder, 'target', `${peer.name}-1.jar`)
  const sources = join(folder, 'src', 'main', 'java', 'peer')
  const files = [
    join(folder, 'pom.xml'),
    ...readdirSync(sources).map((name) => join(sources, name)),
  ]
  const changedMs = Math.max(...files.map((file) => statSync(file).mtimeMs))
  if (existsSync(jar) && statSync(jar).mtimeMs > changedMs) return
  const options = { cwd: folder, timeout: BUILD_MS_MAX }
  await promisify(execFile)('mvn', ['-q', '-B', ...peer.goals], options)
}

export function javaProgram(peer: JavaPeer, args: readonly string[]): Program {
  const jar = join('target', `${peer.name}-1.jar`)
  const classPath = [jar, join('target', 'libs', '*')].join(':')
  return {
    command: 'java',
    args: [...peer.options, '-cp', classPath, 'peer.Peer', ...args],
    cwd: join(BENCH, peer.name),
  }
}
