import { createLogger } from '@countersink/shared/log'
import { migrate } from '@countersink/shared/postgres/migrate'

// A process of its own, to be killed: `node migrator.ts DATABASE_URL`.
await migrate(process.argv[2] ?? '', createLogger('migrator', 'error'))
