import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { CountersinkError } from '@countersink/shared/errors'

export type SystemUser = { uid: number; gid: number }

const USER = 'countersink'
const run = promisify(execFile)

/**
 * Whom Postgres runs as. It refuses to be root, so root needs another user for it: the one that owns
 * the cluster already, else a system user of its own, made on first use, else (where users cannot
 * be made) `postgres` or `nobody`. Undefined means: as we are.
 */
export async function postgresUser(clusterDir: string): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(clusterDir).catch(() => undefined)
  // initdb and postgres look their user up by uid, so an owner without an account will not do.
  if (owner && owner.uid !== 0 && (await lookUp(String(owner.uid)))) {
    return { uid: owner.uid, gid: owner.gid }
  }
  const known = await lookUp(USER)
  if (known) return known
  await makeUser()
  for (const name of [USER, 'postgres', 'nobody']) {
    const user = await lookUp(name)
    if (user) return user
  }
  throw new CountersinkError(
    'TOOL_MISSING',
    `Postgres refuses to run as root, and no user for it could be made. ` +
      `Run: useradd --system ${USER}, or start as another user than root.`,
  )
}

async function lookUp(nameOrUid: string): Promise<SystemUser | undefined> {
  try {
    const [uid, gid] = await Promise.all([
      run('id', ['-u', nameOrUid]),
      run('id', ['-g', nameOrUid]),
    ])
    const user = { uid: Number(uid.stdout), gid: Number(gid.stdout) }
    return user.uid > 0 ? user : undefined
  } catch {
    return undefined
  }
}

async function makeUser(): Promise<void> {
  const ways: [string, string[]][] = [
    ['useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/bin/false', USER]],
    // BusyBox, in small images.
    ['adduser', ['-S', '-D', '-H', '-s', '/bin/false', USER]],
  ]
  for (const [program, args] of ways) {
    try {
      await run(program, args)
      return
    } catch {
      // The next way, or one of the users that most systems have.
    }
  }
}
