import { flinkOne, flinkSql, flinkTwo } from './flink.ts'
import { kafkaStreams } from './kafka-streams.ts'
import { limitJson, limitPacked } from './limit.ts'
import { naive } from './naive.ts'
import { oursJson, oursPacked } from './ours.ts'
import type { Side } from './side.ts'

/** Quick ones: they run on every load, as often as asked for. */
export const OUR_SIDES: readonly Side[] = [oursJson, oursPacked, limitJson, limitPacked]
/** Those by others, without being asked for: a run of one takes longer than all of ours together. */
export const PEER_SIDES: readonly Side[] = [kafkaStreams, flinkSql, flinkOne, naive]
/** By others too, to be asked for by name. */
const OTHER_SIDES: readonly Side[] = [flinkTwo]

export const ALL_SIDES: readonly Side[] = [...PEER_SIDES, ...OTHER_SIDES, ...OUR_SIDES]
