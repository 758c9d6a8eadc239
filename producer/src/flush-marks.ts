/** The events that were added between two flushes, counted down as they settle. */
export type FlushMark = { open: number; readonly done: PromiseWithResolvers<void> }

export type FlushMarks = {
  /** Counts an event in; `leave` with the mark it gave once the event is settled. */
  enter: () => FlushMark
  leave: (mark: FlushMark) => void
  /** Resolves when everything that has entered so far has left. */
  settled: () => Promise<void>
}

/** Knows when all that was added before a moment is settled, without a list of it. */
export function createFlushMarks(): FlushMarks {
  let current: FlushMark = newMark()
  const closed = new Set<FlushMark>()

  function newMark(): FlushMark {
    return { open: 0, done: Promise.withResolvers<void>() }
  }

  return {
    enter() {
      current.open++
      return current
    },
    leave(mark) {
      mark.open--
      if (mark.open === 0 && mark !== current) mark.done.resolve()
    },
    async settled() {
      if (current.open > 0) {
        const mark = current
        closed.add(mark)
        void mark.done.promise.then(() => closed.delete(mark))
        current = newMark()
      }
      await Promise.all([...closed].map((mark) => mark.done.promise))
    },
  }
}
