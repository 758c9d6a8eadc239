/** Bytes that all requests in flight may hold together; who gets no more must refuse its request. */
export type ByteBudget = {
  lease: () => ByteLease
  used: () => number
}

export type ByteLease = {
  /** False when the budget has no room for so many more; then nothing is taken. */
  take: (bytes: number) => boolean
  /** Gives back all that this lease took; a second call does nothing. */
  release: () => void
}

export function createByteBudget(bytesMax: number): ByteBudget {
  let total = 0

  function lease(): ByteLease {
    let held = 0
    return {
      take(bytes) {
        if (total + bytes > bytesMax) return false
        total += bytes
        held += bytes
        return true
      },
      release() {
        total -= held
        held = 0
      },
    }
  }

  return { lease, used: () => total }
}
