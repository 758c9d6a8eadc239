import { CountersinkError } from '@countersink/shared/errors'
import type pg from 'pg'

/**
 * The live generation and the secret that seeds the hashes. The first aggregator writes down which
 * topic the generation counts; one that is set to another topic is refused, since its offsets would
 * mean something else. Throws CONFIG_INVALID then.
 */
export async function readGeneration(
  pool: pg.Pool,
  topic: string,
): Promise<{ generation: number; secret: Buffer }> {
  await pool.query(
    `update countersink.generations set topic = $1 where state = 'live' and topic is null`,
    [topic],
  )
  const { rows } = await pool.query<{ generation: number; topic: string; value: Buffer }>(
    `select g.generation, g.topic, s.value
     from countersink.generations g, countersink.secret s where g.state = 'live'`,
  )
  const [live] = rows
  if (live === undefined) {
    throw new CountersinkError('POSTGRES_REFUSED', 'the database has no live generation')
  }
  if (live.topic !== topic) {
    throw new CountersinkError(
      'CONFIG_INVALID',
      `this database counts the topic ${live.topic}; COUNTERSINK_TOPIC says ${topic}: use a database for each topic`,
    )
  }
  return { generation: live.generation, secret: live.value }
}
