import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PROJECT_ROOT } from '@countersink/local/paths'

/** `from` must stand in the file exactly once. */
export type Patch = { file: string; from: string; to: string }

export type PatchedAggregator = {
  /** What a service's `root` takes. */
  root: string
  remove(): Promise<void>
}

const KAFKAJS_TYPES = 'shared/src/kafka/kafkajs-internals.d.ts'

/**
 * A copy of the aggregator with patches, beside a link to our node_modules: `shared` and all else is
 * ours. Throws when a patch does not fit or the copy does not compile.
 */
export async function patchAggregator(patches: readonly Patch[]): Promise<PatchedAggregator> {
  const root = await mkdtemp(join(tmpdir(), 'countersink-patched-'))
  const remove = async (): Promise<void> => await rm(root, { recursive: true, force: true })
  try {
    await cp(join(PROJECT_ROOT, 'aggregator'), join(root, 'aggregator'), {
      recursive: true,
      filter: (path) => !path.endsWith('.test.ts'),
    })
    await symlink(join(PROJECT_ROOT, 'node_modules'), join(root, 'node_modules'))
    for (const patch of patches) await apply(root, patch)
    await compile(root)
    return { root, remove }
  } catch (error) {
    await remove()
    throw error
  }
}

async function apply(root: string, { file, from, to }: Patch): Promise<void> {
  const path = join(root, 'aggregator', 'src', file)
  const [before, after, ...more] = (await readFile(path, 'utf8')).split(from)
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`the patch of ${file} does not fit exactly once: ${from}`)
  }
  await writeFile(path, `${before}${to}${after}`)
}

async function compile(root: string): Promise<void> {
  const config = {
    extends: join(PROJECT_ROOT, 'tsconfig.base.json'),
    compilerOptions: { typeRoots: [join(PROJECT_ROOT, 'node_modules', '@types')] },
    files: ['aggregator/src/main.ts', join(PROJECT_ROOT, KAFKAJS_TYPES)],
  }
  await writeFile(join(root, 'tsconfig.json'), JSON.stringify(config))
  const tsc = join(PROJECT_ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  try {
    await promisify(execFile)(process.execPath, [tsc, '--noEmit', '-p', root])
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
    throw new Error(`the patched copy does not compile:\n${output}`, { cause: error })
  }
}
