import { copyFileSync, existsSync } from 'node:fs'
import type { StackConfig } from './config.ts'
import { DEMO_CONTRACTS } from './demo.ts'
import type { DataPaths } from './paths.ts'

/**
 * The contracts file to count under: the user's, else the one that the data directory was begun
 * with. A demo brings its own into a directory that is new; one that has counted under other
 * contracts stays with them, because a longer lateness cannot be had without a replay.
 */
export function dataDirContracts(config: StackConfig, paths: DataPaths): string | undefined {
  if (config.contractsFile) return config.contractsFile
  const isNew = !existsSync(paths.postgres) && !config.databaseUrl
  if (config.command === 'demo' && isNew) copyFileSync(DEMO_CONTRACTS, paths.contracts)
  return existsSync(paths.contracts) ? paths.contracts : undefined
}
