import { createKafkaAdmin, type KafkaAdmin } from '@countersink/shared/kafka/admin'
import { createLogger } from '@countersink/shared/log'

/** A person waits for the answer. */
const CALL_MS_MAX = 5000

/** An admin client for the length of `use`. */
export async function withKafkaAdmin<T>(
  brokers: string[],
  use: (admin: KafkaAdmin) => Promise<T>,
): Promise<T> {
  const admin = createKafkaAdmin({
    brokers,
    clientId: 'countersink-cli',
    logger: createLogger('cli', 'silent'),
    callTimeoutMs: CALL_MS_MAX,
  })
  try {
    await admin.start()
    return await use(admin)
  } finally {
    await admin.stop()
  }
}
