/** What the exit code of every command means; printed by --help. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** Done, but not for everything: some lines or events were not counted. */
  partly: 3,
  /** Gave up waiting. Nothing is lost and running the command again is safe. */
  gaveUp: 4,
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_HELP = `
Exit codes:
  0  done
  1  failed: the message says why and what to do
  2  wrong usage or settings
  3  done in part: lines or events were not counted, a check failed, a partition is halted
  4  gave up waiting; running it again is safe
  130  interrupted`
