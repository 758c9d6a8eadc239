import { createKafkaAdmin, type KafkaAdmin } from '@countersink/shared/kafka/admin'
import { createLogger } from '@countersink/shared/log'

/** An admin client for the length of `use`. */
export async function withKafkaAdmin<T>(
  brokers: string[],
  use: (admin: KafkaAdmin) => Promise<T>,
): Promise<T> {
  const admin = createKafkaAdmin({
    brokers,
    clientId: 'countersink-cli',
    logger: createLogger('cli', 'silent'),
  })
  try {
    await admin.start()
    return await use(admin)
  } finally {
    await admin.stop()
  }
}
