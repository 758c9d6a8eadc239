import { ByteWriter } from './byte-writer.ts'

export type Dims = ReadonlyMap<string, string>

/** Where a walk over the pairs of some dims stands: each name leads to its values, they further on. */
type Node = { number: number; readonly names: Map<string, Map<string, Node>> }

/**
 * The dimsets of one packed record, numbered in the order they come. The last map is known by
 * itself, any other by a walk from name to value to name: a text of all pairs would be made for every
 * event, and a WeakMap of maps pays only for callers who do not make a map per event (measured:
 * 35 ns less for them, 100 ns more for the others).
 */
export class DimsetDictionary {
  readonly bytes = new ByteWriter()
  #size = 0
  #root: Node = { number: -1, names: new Map() }
  #last: Dims | undefined
  #lastNumber = 0

  get size(): number {
    return this.#size
  }

  /** The number of some dims: sorted, not empty, and never changed afterwards. */
  numberOf(dims: Dims): number {
    if (dims === this.#last) return this.#lastNumber
    this.#last = dims
    return (this.#lastNumber = this.#walk(dims))
  }

  clear(): void {
    if (this.#size === 0) return
    this.bytes.clear()
    this.#size = 0
    this.#root = { number: -1, names: new Map() }
    this.#last = undefined
  }

  #walk(dims: Dims): number {
    let node = this.#root
    for (const [name, value] of dims) {
      let values = node.names.get(name)
      if (values === undefined) node.names.set(name, (values = new Map()))
      let next = values.get(value)
      if (next === undefined) values.set(value, (next = { number: -1, names: new Map() }))
      node = next
    }
    if (node.number < 0) node.number = this.#add(dims)
    return node.number
  }

  #add(dims: Dims): number {
    this.bytes.varint(dims.size)
    for (const [name, value] of dims) {
      this.bytes.text(name)
      this.bytes.text(value)
    }
    return this.#size++
  }
}
