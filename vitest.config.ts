import { defineConfig } from 'vitest/config'

/** Servers, kills and take-overs take their time, more of it on a small and busy machine. */
const SYSTEM_TEST_MS_MAX = 180_000
const UNIT_TEST_MS_MAX = 30_000

/**
 * What measures time, counts work or starts a whole stack has the machine to itself. The others
 * mostly wait for servers, brokers of their own among them, and run two at a time.
 */
const ALONE = [
  'counted-work',
  'hot-key-spread',
  'idle-readiness',
  'kafka-group',
  'local-stack',
  'readers-exact-through-take-overs',
  'take-over',
].map((name) => `test/${name}.test.ts`)
const BESIDE_EACH_OTHER_MAX = 2

const SYSTEM = {
  // One broker and one Postgres for all files of a project.
  globalSetup: ['test/global-setup.ts'],
  testTimeout: SYSTEM_TEST_MS_MAX,
  hookTimeout: SYSTEM_TEST_MS_MAX,
}

export default defineConfig({
  test: {
    teardownTimeout: SYSTEM_TEST_MS_MAX,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['*/src/**/*.test.ts', 'bench/*.test.ts'],
          testTimeout: UNIT_TEST_MS_MAX,
          hookTimeout: UNIT_TEST_MS_MAX,
        },
      },
      {
        test: {
          ...SYSTEM,
          name: 'system',
          include: ['test/**/*.test.ts'],
          exclude: ALONE,
          maxWorkers: BESIDE_EACH_OTHER_MAX,
          // After the unit tests: what is broken there need not be looked for here.
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...SYSTEM,
          name: 'alone',
          include: ALONE,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
