import { IdMemory } from './id-memory.ts'
import type { HashKey } from './keyed-hash.ts'
import { LaneTable } from './lane-table.ts'

/**
 * Which events of a partition were counted within the lateness: ids of any form by their hashes,
 * those that an SDK made by (lane, sequence).
 */
export class RememberedIds {
  readonly hashed = new IdMemory()
  readonly lanes: LaneTable

  constructor(hashKey: HashKey) {
    this.lanes = new LaneTable(hashKey)
  }

  get size(): number {
    return this.hashed.size
  }

  get byteLength(): number {
    return this.hashed.byteLength + this.lanes.byteLength
  }
}
