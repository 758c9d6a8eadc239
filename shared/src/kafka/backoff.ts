const backoffMsMin = 50
const backoffMsMax = 2_000

/** How long to wait before try number `failures` + 1: doubling, bounded, with jitter. */
export function backoffMs(failures: number): number {
  const base = Math.min(backoffMsMin * 2 ** Math.min(failures - 1, 20), backoffMsMax)
  return base * (0.5 + Math.random() / 2)
}
