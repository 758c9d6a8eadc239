import type { TestProject } from 'vitest/node'
import { startTestServers, type RunningServers, type Servers } from './servers.ts'

declare module 'vitest' {
  // Declaration merging needs an interface.
  export interface ProvidedContext {
    servers: Servers
  }
}

const running: RunningServers[] = []

/** One broker and one Postgres for a project; each test file makes its own topic and database. */
export async function setup(project: TestProject): Promise<void> {
  const begun = Date.now()
  const servers = await startTestServers()
  running.push(servers)
  const { brokers, adminUrl, where } = servers
  project.provide('servers', { brokers, adminUrl })
  console.error(`servers from ${where}, ready in ${((Date.now() - begun) / 1000).toFixed(1)} s`)
}

export async function teardown(): Promise<void> {
  for (const servers of running.splice(0)) await servers.stop()
}
