import type pg from 'pg'

/** "PGCOPY\n\377\r\n\0", flags, and the length of an extension that there is none of. */
const SIGNATURE_BYTES = 11
const HEADER_BYTES = SIGNATURE_BYTES + 8
/** In the place of a row's number of fields: there are no more rows. */
const TRAILER = -1

/**
 * The rows of a query by `COPY … TO STDOUT (FORMAT binary)`, each a list of its fields as Postgres
 * sends them (big-endian); null fields are empty. pg itself has answers as text only, in which a
 * bytea is twice as long and has to be parsed. A query cannot have parameters here.
 */
export function copyOut(client: pg.ClientBase, query: string): Promise<Buffer[][]> {
  return new Promise((resolve, reject) => {
    client.query(new CopyOut(`copy (${query}) to stdout (format binary)`, resolve, reject))
  })
}

/** What pg calls while its connection works on a query of our own kind. */
class CopyOut implements pg.Submittable {
  readonly #text: string
  readonly #resolve: (rows: Buffer[][]) => void
  readonly #reject: (error: Error) => void
  readonly #rows: Buffer[][] = []
  #isOpen = false

  constructor(text: string, resolve: (rows: Buffer[][]) => void, reject: (error: Error) => void) {
    this.#text = text
    this.#resolve = resolve
    this.#reject = reject
  }

  submit(connection: pg.Connection): void {
    connection.query(this.#text)
  }

  /** One row, or the header before the first; the server never cuts a row in two. */
  handleCopyData({ chunk }: { chunk: Buffer }): void {
    let at = this.#isOpen ? 0 : HEADER_BYTES
    this.#isOpen = true
    while (at < chunk.length) {
      const count = chunk.readInt16BE(at)
      at += 2
      if (count === TRAILER) return
      const fields: Buffer[] = []
      for (let i = 0; i < count; i++) {
        const length = Math.max(0, chunk.readInt32BE(at))
        at += 4
        // A copy, because the connection reads on into the same memory.
        fields.push(Buffer.from(chunk.subarray(at, at + length)))
        at += length
      }
      this.#rows.push(fields)
    }
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#resolve(this.#rows)
  }

  handleError(error: Error): void {
    this.#reject(error)
  }
}
