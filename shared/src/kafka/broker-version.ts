type ApiVersions = Readonly<Record<string, { minVersion: number; maxVersion: number }>>

const FETCH_API_KEY = '1'

/** The highest Fetch version that each release of Kafka was the first to speak. */
const FIRST_RELEASES: readonly (readonly [fetchVersion: number, release: string])[] = [
  [18, '4.1'],
  [17, '3.9'],
  [16, '3.7'],
  [15, '3.5'],
  [13, '3.1'],
  [12, '2.7'],
  [11, '2.3'],
]

/**
 * What can be told of a broker's release: brokers do not say it, but what they speak grows with it.
 * Gives for example '4.1 or later'.
 */
export function brokerVersionRange(versions: ApiVersions): string {
  const spoken = versions[FETCH_API_KEY]?.maxVersion ?? 0
  const release = FIRST_RELEASES.find(([fetchVersion]) => spoken >= fetchVersion)?.[1]
  return release === undefined ? 'older than 2.3' : `${release} or later`
}
