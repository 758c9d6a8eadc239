/** A first-in, first-out queue whose shift costs the same however long it is. */
export type Fifo<T> = {
  readonly length: number
  push: (item: T) => void
  peek: () => T | undefined
  shift: () => T | undefined
  /** Puts items back before all others, in their order. */
  unshift: (items: readonly T[]) => void
  /** Takes one item out: at once if it is the first, else by looking at all of them. */
  remove: (item: T) => void
  /** A copy of what is in the queue. */
  items: () => T[]
  clear: () => void
}

const COMPACT_AFTER = 1024

export function createFifo<T>(): Fifo<T> {
  let items: T[] = []
  let head = 0

  function shift(): T | undefined {
    const item = items[head]
    if (head < items.length) head++
    if (head > COMPACT_AFTER && head * 2 > items.length) {
      items = items.slice(head)
      head = 0
    }
    return item
  }

  return {
    get length() {
      return items.length - head
    },
    push(item) {
      items.push(item)
    },
    peek: () => items[head],
    shift,
    unshift(returned) {
      items = [...returned, ...items.slice(head)]
      head = 0
    },
    remove(removed) {
      if (items[head] === removed) {
        shift()
        return
      }
      items = items.slice(head).filter((item) => item !== removed)
      head = 0
    },
    items: () => items.slice(head),
    clear() {
      items = []
      head = 0
    },
  }
}
