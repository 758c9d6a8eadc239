import { formatDuration } from '@countersink/shared/duration'
import { CountersinkError, messageOf } from '@countersink/shared/errors'
import type { KafkaAdmin, TopicDescription } from '@countersink/shared/kafka/admin'
import { routingTopicOf } from '@countersink/shared/kafka/routing-topic'
import { optionalSetting, requireBrokers, requireTopic, type Settings } from './config.ts'
import type { Check } from './doctor.ts'
import { withKafkaAdmin } from './kafka-admin.ts'
import { plural } from './table.ts'

/** A log that forgets sooner cannot be counted again after a day of trouble. */
const RETENTION_MS_MIN = 24 * 3_600_000

/** Kafka: reachability, version, and whether the topic is one that can be counted from. */
export async function kafkaChecks(settings: Settings): Promise<Check[]> {
  if (optionalSetting(settings, 'KAFKA_BROKERS') === undefined) {
    return [
      {
        name: 'kafka',
        level: 'fail',
        detail: 'KAFKA_BROKERS is not set',
        fix: 'Run `npm start`, or set it.',
      },
    ]
  }
  const topic = requireTopic(settings)
  const checks: Check[] = []
  try {
    await withKafkaAdmin(requireBrokers(settings), async (admin) => {
      checks.push(await clusterCheck(admin))
      const description = await admin.describeTopic(topic)
      checks.push(...topicChecks(description), await contentCheck(admin, topic))
      const routing = routingTopicOf(topic)
      if (await admin.topicExists(routing)) {
        checks.push(...routingTopicChecks(await admin.describeTopic(routing)))
      }
    })
  } catch (error) {
    checks.push(failure(error, topic))
  }
  return checks
}

function failure(error: unknown, topic: string): Check {
  if (error instanceof CountersinkError && error.code === 'TOPIC_MISSING') {
    return {
      name: 'topic',
      level: 'fail',
      detail: `there is no topic ${topic}`,
      fix:
        'Make it, for example: kafka-topics.sh --create --topic ' +
        `${topic} --partitions 8 --config message.timestamp.type=LogAppendTime`,
    }
  }
  return {
    name: 'kafka',
    level: 'fail',
    detail: messageOf(error),
    fix: 'Start it (`npm start` for a local one), or correct KAFKA_BROKERS.',
  }
}

async function clusterCheck(admin: KafkaAdmin): Promise<Check> {
  const { brokers, version } = await admin.describeCluster()
  const detail = `${plural(brokers.length, 'broker')} (${brokers.join(', ')}), Kafka ${version}`
  return { name: 'kafka', level: 'ok', detail }
}

export function topicChecks({ topic, partitions, config }: TopicDescription): Check[] {
  const timestamps = config.get('message.timestamp.type') ?? ''
  const cleanup = config.get('cleanup.policy') ?? ''
  const retentionMs = Number(config.get('retention.ms') ?? -1)
  const alter = alterationOf(topic)
  const checks: Check[] = [
    { name: 'topic', level: 'ok', detail: `${topic}, ${plural(partitions.length, 'partition')}` },
  ]
  if (timestamps !== 'LogAppendTime') {
    checks.push({
      name: 'topic',
      level: 'fail',
      detail: `message.timestamp.type is ${timestamps}: the time of a record is the sender's word`,
      fix: alter('message.timestamp.type=LogAppendTime'),
    })
  }
  if (cleanup !== 'delete') {
    checks.push({
      name: 'topic',
      level: 'fail',
      detail: `cleanup.policy is ${cleanup}: compaction removes events before they are counted`,
      fix: alter('cleanup.policy=delete'),
    })
  }
  if (retentionMs >= 0 && retentionMs < RETENTION_MS_MIN) {
    checks.push({
      name: 'topic',
      level: 'warn',
      detail: `retention.ms is ${formatDuration(Math.max(retentionMs, 1))}: events are deleted after that, counted or not`,
      fix: `${alter('retention.ms=604800000')} keeps a week.`,
    })
  }
  return checks
}

/** The topic of the routing versions; one that is not there is made by the first aggregator. */
export function routingTopicChecks({ topic, config }: TopicDescription): Check[] {
  const timestamps = config.get('message.timestamp.type') ?? ''
  const cleanup = config.get('cleanup.policy') ?? ''
  const alter = alterationOf(topic)
  const checks: Check[] = []
  if (timestamps !== 'LogAppendTime') {
    checks.push({
      name: 'routing',
      level: 'fail',
      detail: `message.timestamp.type of ${topic} is ${timestamps}: no routing version is taken`,
      fix: alter('message.timestamp.type=LogAppendTime'),
    })
  }
  if (cleanup !== 'compact') {
    checks.push({
      name: 'routing',
      level: 'fail',
      detail: `cleanup.policy of ${topic} is ${cleanup}: routing versions are deleted one day`,
      fix: alter('cleanup.policy=compact'),
    })
  }
  if (checks.length > 0) return checks
  return [{ name: 'routing', level: 'ok', detail: `${topic} keeps all routing versions` }]
}

/** The command that changes one setting of a topic. */
function alterationOf(topic: string): (setting: string) => string {
  const command = `kafka-configs.sh --alter --entity-type topics --entity-name ${topic}`
  return (setting) => `${command} --add-config ${setting}`
}

async function contentCheck(admin: KafkaAdmin, topic: string): Promise<Check> {
  const [starts, ends] = await Promise.all([admin.startOffsets(topic), admin.endOffsets(topic)])
  const records = [...ends].reduce((sum, [p, end]) => sum + end - (starts.get(p) ?? 0), 0)
  return { name: 'topic', level: 'ok', detail: `holds ${plural(records, 'record')}` }
}
