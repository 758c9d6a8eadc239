import { execFile } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { CountersinkError } from '@countersink/shared/errors'
import { JAVA_MAJOR_MIN } from './versions.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** How to get each tool, in the words of the systems most people have. */
const HOW_TO_GET = {
  java: 'Debian/Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17; others: adoptium.net',
  mvn: 'Debian/Ubuntu: apt-get install maven; macOS: brew install maven; others: maven.apache.org',
  docker: 'docs.docker.com/engine/install',
} as const

/** Absolute path of a program on the PATH, or undefined. */
export function findOnPath(program: string, environment: Environment): string | undefined {
  return (environment['PATH'] ?? '')
    .split(delimiter)
    .filter((dir) => dir !== '')
    .map((dir) => join(dir, program))
    .find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

export type Java = { path: string; version: string }

/** A Java that is new enough for the broker: JAVA_HOME's, else the PATH's. */
export async function findJava(environment: Environment): Promise<Java | undefined> {
  const home = environment['JAVA_HOME']
  const candidates = [home && join(home, 'bin', 'java'), findOnPath('java', environment)]
  for (const path of candidates) {
    if (!path || !isExecutable(path)) continue
    const version = parseJavaVersion(await outputOf(path, ['-version']))
    if (version && Number(version.split('.')[0]) >= JAVA_MAJOR_MIN) return { path, version }
  }
  return undefined
}

/** The version out of what `java -version` prints: 17.0.15; also the old style, where 1.8 is 8. */
export function parseJavaVersion(text: string): string | undefined {
  const version = /version "([0-9][^"]*)"/.exec(text)?.[1]
  return version?.replace(/^1\./, '')
}

/** stdout and stderr of a short command; empty when it cannot be run. */
async function outputOf(path: string, args: string[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  execFile(path, args, { timeout: 10_000 }, (_, stdout, stderr) => resolve(stdout + stderr))
  return promise
}

export function missingTools(missing: readonly (keyof typeof HOW_TO_GET)[], why: string): Error {
  const lines = missing.map((tool) => {
    const name = tool === 'java' ? `Java ${JAVA_MAJOR_MIN} or newer` : tool
    return `  ${name} is missing. ${HOW_TO_GET[tool]}`
  })
  return new CountersinkError('TOOL_MISSING', `${why}\n${lines.join('\n')}`)
}
