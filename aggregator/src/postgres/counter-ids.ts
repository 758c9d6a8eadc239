import type { Contract } from '@countersink/shared/contracts'
import type pg from 'pg'

/** The numbers that counters have in a generation's tables, kept for the life of the process. */
export class CounterIds {
  readonly #schema: string
  readonly #ids = new Map<string, number>()
  #changes = 0

  constructor(schema: string) {
    this.#schema = schema
  }

  /**
   * Grows when a counter is found to have another number than was known: rows made before with the
   * old one are another counter's in the database that answers now.
   */
  get changes(): number {
    return this.#changes
  }

  has(name: string): boolean {
    return this.#ids.has(name)
  }

  of(name: string): number {
    const id = this.#ids.get(name)
    if (id === undefined) throw new RangeError(`the counter ${name} has no number yet`)
    return id
  }

  /** Does the database give every counter known here the number that it has here? */
  async hold(client: pg.ClientBase): Promise<boolean> {
    const { rows } = await client.query<{ n: number }>(
      `select count(*)::int as n from unnest($1::text[], $2::int[]) u (name, counter)
       join ${this.#schema}.counters c using (name, counter)`,
      [[...this.#ids.keys()], [...this.#ids.values()]],
    )
    return rows[0]?.n === this.#ids.size
  }

  /** Forgets all: the database may be another one than it was. */
  clear(): void {
    this.#ids.clear()
  }

  /**
   * Gives numbers to counters, in a transaction of their own: a counter without events is harmless,
   * and two owners who meet a new counter at once must not wait for each other's commits.
   */
  async ensure(client: pg.ClientBase, counters: ReadonlyMap<string, Contract>): Promise<void> {
    const names = [...counters.keys()].toSorted()
    const sizes = names.flatMap((name) =>
      counters.get(name)!.windowSizesMs.map((size) => [name, size] as const),
    )
    await client.query(
      `insert into ${this.#schema}.counters (name) select unnest($1::text[]) on conflict do nothing`,
      [names],
    )
    await client.query(
      `insert into ${this.#schema}.window_sizes (counter, size)
       select c.counter, u.size from unnest($1::text[], $2::bigint[]) u (name, size)
       join ${this.#schema}.counters c using (name) on conflict do nothing`,
      [sizes.map(([name]) => name), sizes.map(([, size]) => size)],
    )
    const { rows } = await client.query<{ name: string; counter: number }>(
      `select name, counter from ${this.#schema}.counters where name = any($1)`,
      [names],
    )
    for (const { name, counter } of rows) {
      if ((this.#ids.get(name) ?? counter) !== counter) this.#changes++
      this.#ids.set(name, counter)
    }
  }
}
