import type { LoadOracle } from './load-oracle.ts'
import { LOADS, type LoadName, type LoadOptions, startOf } from './loads.ts'
import type { BenchServers } from './servers.ts'
import { number, whole } from './throughput-table.ts'
import { type Encoding, fillTopic, type TopicLoad } from './topic-load.ts'

export const PARTITIONS = 8
const SEED = 20_250_101
const WARM_EVENTS_MAX = 300_000

/** One load's topics, of which the first that is made has the oracle filled. */
type Topics = { oracle?: LoadOracle; options: LoadOptions } & Partial<Record<Encoding, TopicLoad>>

/** The topics of all loads, each made when the first side asks for it. */
export class LoadTopics {
  readonly #servers: BenchServers
  readonly #events: number
  readonly #loads = new Map<LoadName, Topics>()
  readonly #warm = new Map<LoadName, TopicLoad>()

  constructor(servers: BenchServers, events: number) {
    this.#servers = servers
    this.#events = events
  }

  /** What was made for a load until now. */
  known(name: LoadName): Topics | undefined {
    return this.#loads.get(name)
  }

  async of(name: LoadName, encoding: Encoding): Promise<TopicLoad> {
    let topics = this.#loads.get(name)
    if (topics === undefined) {
      topics = { options: loadOptions(name, this.#events, SEED) }
      this.#loads.set(name, topics)
    }
    const there = topics[encoding]
    if (there !== undefined) return there
    const load = await this.#fill(`bench.${name}.${encoding}`, encoding, topics)
    topics.oracle = load.oracle
    topics[encoding] = load
    const bytes = number(load.bytes / load.events, 1)
    console.error(`${load.topic}: ${whole(load.events)} events of ${bytes} bytes`)
    return load
  }

  /** Other ids and other times than the load's own. */
  async warm(name: LoadName): Promise<TopicLoad> {
    const there = this.#warm.get(name)
    if (there !== undefined) return there
    const events = Math.min(WARM_EVENTS_MAX, Math.ceil(this.#events / 10))
    const options = loadOptions(name, events, SEED + 1)
    const load = await this.#fill(`bench.${name}.warm`, 'json', { options })
    this.#warm.set(name, load)
    return load
  }

  async #fill(
    topic: string,
    encoding: Encoding,
    { options, oracle }: { options: LoadOptions; oracle?: LoadOracle },
  ): Promise<TopicLoad> {
    await this.#servers.makeTopic(topic, PARTITIONS)
    const { brokers } = this.#servers
    return fillTopic({
      brokers,
      topic,
      encoding,
      partitions: PARTITIONS,
      load: options,
      ...(oracle !== undefined && { oracle }),
    })
  }
}

function loadOptions(name: LoadName, events: number, seed: number): LoadOptions {
  return { shape: LOADS[name], events, seed, startMs: startOf(events, Date.now()) }
}
