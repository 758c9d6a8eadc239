import type { BenchServers } from '../servers.ts'
import type { Encoding, TopicLoad } from '../topic-load.ts'
import type { Costs } from './costs.ts'

export type SideContext = {
  servers: BenchServers
  /** The name of the run, good for directories and databases; no other run has it. */
  run: string
  load: TopicLoad
  /** A small topic of the same kind of events, for virtual machines to become warm with. */
  warm: TopicLoad
}

export type StoredBytes = Record<string, number>

export type SideRun = Costs & {
  seconds: number
  eventsPerSecond: number
  /** What is on disk when all is counted, by what it is for. */
  stored: StoredBytes
  /** Bytes of the windows' pages by the sums in them; ours alone has pages. */
  bytesPerWindowEntry?: number
}

/** Something that counts a topic, or only reads it. Every run checks its sums or throws. */
export type Side = {
  name: string
  title: string
  encoding: Encoding
  /** A guess of how fast it is, to see whether a first run still fits into the time. */
  eventsPerSecondGuess: number
  /** Builds what has to be built. */
  prepare?: () => Promise<void>
  run: (context: SideContext) => Promise<SideRun>
}
