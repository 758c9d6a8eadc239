import { formatSdkId } from '@countersink/shared/sdk-id'
import { PACKED_LIMITS } from '@countersink/shared/packed/packed-format'
import type { PackedRecord } from './packed-record.ts'

/** Event number `event` of a packed record as JSON, valid or not, for people to read. */
export function packedEventText(record: PackedRecord, event: number): string {
  const { bytes, seriesOf, seriesCounter, counterStart, counterEnd, keyStart, keyEnd } = record
  const series = seriesOf[event]!
  const counter = seriesCounter[series]!
  const fields = {
    id: idText(record, event),
    counter: bytes.toString('utf8', counterStart[counter], counterEnd[counter]),
    key: bytes.toString('utf8', keyStart[series], keyEnd[series]),
    delta: record.delta[event],
    at: record.at[event],
  }
  const dimset = record.dimsets === 0 ? -1 : record.dimsOf[event]! - 1
  return JSON.stringify(dimset < 0 ? fields : { ...fields, dims: dimsOf(record, dimset) })
}

function idText({ bytes, ids }: PackedRecord, event: number): string {
  const block = ids.blockEnd.subarray(0, ids.blocks).findIndex((end) => end > event)
  const session = ids.sessionStart[block]!
  if (session < 0) return ids.bytes.toString('utf8', ids.start[event], ids.end[event])
  const begin = block === 0 ? 0 : ids.blockEnd[block - 1]!
  const name = bytes.toString('latin1', session, session + PACKED_LIMITS.sessionBytes)
  return formatSdkId(name, ids.lane[block]!, ids.first[block]! + (event - begin))
}

function dimsOf({ bytes, dims, dimsetStart, dimsetSize }: PackedRecord, dimset: number) {
  const start = dimsetStart[dimset]!
  const names = Array.from({ length: dimsetSize[dimset]! }, (_, i) => {
    const [nameStart, nameEnd, valueStart, valueEnd] = dims.subarray(4 * (start + i))
    const name = bytes.toString('utf8', nameStart, nameEnd)
    return [name, bytes.toString('utf8', valueStart, valueEnd)] as const
  })
  return Object.fromEntries(names)
}
