export type Member = {
  readonly memberId: string
  /** The group's generation in which the member got what it owns; the newest claim wins. */
  readonly generation: number
  readonly owned: readonly number[]
}

/**
 * Deals the partitions 0..partitionCount-1 to the members, balanced within one, and so that as
 * many as can be under that balance stay where they are. The same input in any order gives the
 * same result. Claims on partitions that do not exist, and claims of an older generation on what
 * another member owns, are ignored.
 */
export function assignSticky(
  partitionCount: number,
  members: readonly Member[],
): Map<string, number[]> {
  const sorted = members.toSorted((a, b) => compare(a.memberId, b.memberId))
  const claims = settleClaims(partitionCount, sorted)
  if (sorted.length === 0) return new Map()

  const share = Math.floor(partitionCount / sorted.length)
  // So many members get one more than the share; who owns more already has the first right.
  let extras = partitionCount % sorted.length
  const assignment = new Map<string, number[]>()
  const free = new Set<number>(Array.from({ length: partitionCount }, (_, index) => index))
  for (const { memberId } of sorted) {
    const claimed = claims.get(memberId) ?? []
    const quota = claimed.length > share && extras > 0 ? share + 1 : share
    if (quota > share) extras--
    const kept = claimed.slice(0, quota)
    for (const partition of kept) free.delete(partition)
    assignment.set(memberId, kept)
  }
  dealFree([...free], share, assignment)
  return assignment
}

function settleClaims(partitionCount: number, members: readonly Member[]): Map<string, number[]> {
  const owners = new Map<number, Member>()
  for (const member of members) {
    for (const partition of member.owned) {
      if (!Number.isInteger(partition) || partition < 0 || partition >= partitionCount) continue
      const rival = owners.get(partition)
      if (rival === undefined || rival.generation < member.generation) {
        owners.set(partition, member)
      }
    }
  }
  const claims = new Map<string, number[]>()
  for (const [partition, { memberId }] of owners) {
    const claimed = claims.get(memberId)
    if (claimed === undefined) claims.set(memberId, [partition])
    else claimed.push(partition)
  }
  for (const claimed of claims.values()) claimed.sort((a, b) => a - b)
  return claims
}

/** Fills everybody up to the share first, then one more each; `assignment` is changed. */
function dealFree(free: number[], share: number, assignment: Map<string, number[]>): void {
  for (const quota of [share, share + 1]) {
    for (const partitions of assignment.values()) {
      while (partitions.length < quota) {
        const partition = free.shift()
        if (partition === undefined) break
        partitions.push(partition)
      }
    }
  }
  for (const partitions of assignment.values()) partitions.sort((a, b) => a - b)
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
