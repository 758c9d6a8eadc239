import type { TestProject } from 'vitest/node'
import { startTestServers, type RunningServers, type Servers } from './servers.ts'

declare module 'vitest' {
  // Declaration merging needs an interface.
  export interface ProvidedContext {
    servers: Servers
  }
}

let servers: RunningServers | undefined

/** One broker and one Postgres for the whole run; each test file makes its own topic and database. */
export async function setup(project: TestProject): Promise<void> {
  const begun = Date.now()
  servers = await startTestServers()
  const { brokers, adminUrl, where } = servers
  project.provide('servers', { brokers, adminUrl })
  console.error(`servers from ${where}, ready in ${((Date.now() - begun) / 1000).toFixed(1)} s`)
}

export async function teardown(): Promise<void> {
  await servers?.stop()
}
