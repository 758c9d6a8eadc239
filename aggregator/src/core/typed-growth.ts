type Typed = Int32Array | Float64Array | Uint8Array

/** Copies an array into a longer one, and gives that. */
export function grown<T extends Typed>(from: Typed, into: T): T {
  into.set(from)
  return into
}
