/*
 * What members of a consumer group tell each other through the coordinator, in the layout that
 * Kafka's own tools read ("consumer protocol", version 0):
 *
 *   subscription: version int16 | topics [string] | user_data bytes
 *   assignment:   version int16 | topics [ name string | partitions [int32] ] | user_data bytes
 *
 * Our user_data of a subscription: layout int8 (1) | generation int32 | owned partitions [int32].
 */

const LAYOUT = 1

export type Subscription = {
  readonly topics: readonly string[]
  readonly generation: number
  readonly owned: readonly number[]
}

export function encodeSubscription(topic: string, generation: number, owned: number[]): Buffer {
  const userData = Buffer.alloc(9 + 4 * owned.length)
  userData.writeInt8(LAYOUT, 0)
  userData.writeInt32BE(generation, 1)
  writeInt32s(userData, 5, owned)
  const name = Buffer.from(topic)
  const head = Buffer.alloc(8)
  head.writeInt32BE(1, 2)
  head.writeInt16BE(name.length, 6)
  return Buffer.concat([head, name, int32(userData.length), userData])
}

/** Bytes of another program in our group give an empty subscription, not an error. */
export function decodeSubscription(bytes: Buffer): Subscription {
  const nothing = { topics: [], generation: -1, owned: [] }
  try {
    const reader = { bytes, position: 2 }
    const topics: string[] = []
    for (let left = readCount(reader); left > 0; left--) topics.push(readString(reader))
    if (reader.position + 4 > bytes.length) return { ...nothing, topics }
    const size = bytes.readInt32BE(reader.position)
    const userData = { bytes, position: reader.position + 5 }
    if (size < 9 || bytes.readInt8(reader.position + 4) !== LAYOUT) return { ...nothing, topics }
    const generation = bytes.readInt32BE(userData.position)
    userData.position += 4
    return { topics, generation, owned: readInt32s(userData) }
  } catch {
    return nothing
  }
}

export function encodeAssignment(topic: string, partitions: number[]): Buffer {
  const name = Buffer.from(topic)
  const head = Buffer.alloc(8)
  head.writeInt32BE(1, 2)
  head.writeInt16BE(name.length, 6)
  const list = Buffer.alloc(4 + 4 * partitions.length)
  writeInt32s(list, 0, partitions)
  return Buffer.concat([head, name, list, int32(0)])
}

/** The partitions of `topic`; none for an empty assignment. Throws RangeError on cut bytes. */
export function decodeAssignment(topic: string, bytes: Buffer): number[] {
  if (bytes.length < 6) return []
  const reader = { bytes, position: 2 }
  for (let left = readCount(reader); left > 0; left--) {
    const name = readString(reader)
    const partitions = readInt32s(reader)
    if (name === topic) return partitions
  }
  return []
}

type Reader = { readonly bytes: Buffer; position: number }

function readCount(reader: Reader): number {
  const count = reader.bytes.readInt32BE(reader.position)
  reader.position += 4
  if (count > reader.bytes.length)
    throw new RangeError(`a list of ${count} is longer than its bytes`)
  return count
}

function readString(reader: Reader): string {
  const length = reader.bytes.readInt16BE(reader.position)
  const start = reader.position + 2
  reader.position = start + Math.max(length, 0)
  return reader.bytes.toString('utf8', start, reader.position)
}

function readInt32s(reader: Reader): number[] {
  const values: number[] = []
  for (let left = readCount(reader); left > 0; left--) {
    values.push(reader.bytes.readInt32BE(reader.position))
    reader.position += 4
  }
  return values
}

function writeInt32s(target: Buffer, position: number, values: number[]): void {
  target.writeInt32BE(values.length, position)
  values.forEach((value, index) => target.writeInt32BE(value, position + 4 + 4 * index))
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
