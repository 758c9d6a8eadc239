import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { CountersinkError, messageOf } from '@countersink/shared/errors'
import { PROJECT_ROOT, cacheDir } from './paths.ts'
import { findOnPath, missingTools } from './tools.ts'
import { KAFKA_VERSION } from './versions.ts'

type Environment = Readonly<Record<string, string | undefined>>

const POM = join(PROJECT_ROOT, 'local', 'pom.xml')
const PROGRESS_INTERVAL_MS = 5000
const OUTPUT_LINES_KEPT = 30

/** The broker's jars: outside the data directory, because many of these share one download. */
export function kafkaDistributionDir(environment: Environment): string {
  return join(cacheDir(environment), `kafka-${KAFKA_VERSION}`)
}

export function hasKafkaDistribution(environment: Environment): boolean {
  return existsSync(join(kafkaDistributionDir(environment), `kafka_2.13-${KAFKA_VERSION}.jar`))
}

/**
 * Makes sure that the broker's jars are in the cache and returns their directory. Maven writes into
 * a directory of its own beside it, which is then renamed: a half download is never taken for a
 * whole one, and of two starts at once the second finds the first one's. Throws TOOL_MISSING.
 */
export async function ensureKafkaDistribution(
  environment: Environment,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<string> {
  const target = kafkaDistributionDir(environment)
  if (hasKafkaDistribution(environment)) return target
  const mvn = findOnPath('mvn', environment)
  if (!mvn) throw missingTools(['mvn'], `Kafka ${KAFKA_VERSION} has to be downloaded once.`)
  await mkdir(dirname(target), { recursive: true })
  const part = await mkdtemp(`${target}.part-`)
  try {
    await copyDependencies(mvn, part, environment, say, signal)
    await settle(part, target, environment)
  } finally {
    await rm(part, { recursive: true, force: true })
  }
  return target
}

async function settle(part: string, target: string, environment: Environment): Promise<void> {
  try {
    await rename(part, target)
  } catch (error) {
    // Another start was quicker; anything else that is in the way is no download of ours.
    if (!hasKafkaDistribution(environment)) {
      const what = `${target} is in the way of the Kafka download: ${messageOf(error)}. Remove it.`
      throw new CountersinkError('TOOL_MISSING', what, { cause: error })
    }
  }
}

async function copyDependencies(
  mvn: string,
  outputDir: string,
  environment: Environment,
  say: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  say(
    `Downloading Kafka ${KAFKA_VERSION} from Maven Central, once (about 45 MB, and Maven's own parts)…`,
  )
  const goal = 'dependency:copy-dependencies'
  const child = spawn(mvn, ['-B', '-f', POM, goal, `-DoutputDirectory=${outputDir}`], {
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal && { signal }),
  })
  const { promise: ended, resolve } = Promise.withResolvers<string>()
  child.once('error', (error) => resolve(error.message))
  child.once('close', (code, signal) => resolve(code === 0 ? '' : (signal ?? `code ${code}`)))

  const lines: string[] = []
  let files = 0
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      if (line.includes('Downloaded from')) files += 1
      lines.push(line)
      if (lines.length > OUTPUT_LINES_KEPT) lines.shift()
    })
  }
  const progress = setInterval(() => {
    say(`  … ${files} files so far, ${jarsOf(lines)}`)
  }, PROGRESS_INTERVAL_MS)
  try {
    const problem = await ended
    if (problem === '' && (await readdir(outputDir)).length > 0) return
    const message = `Maven could not download Kafka (${problem}); is the network there?\n`
    throw new CountersinkError('TOOL_MISSING', message + lines.join('\n'))
  } finally {
    clearInterval(progress)
  }
}

function jarsOf(lines: readonly string[]): string {
  const last = lines.findLast((line) => line.includes('Download'))
  return /([^/\s]+\.(?:jar|pom))/.exec(last ?? '')?.[1] ?? 'working'
}
