import { defineConfig } from 'vitest/config'

/** Servers, kills and take-overs take their time, more of it on a small and busy machine. */
const SYSTEM_TEST_MS_MAX = 180_000
const UNIT_TEST_MS_MAX = 30_000

export default defineConfig({
  test: {
    teardownTimeout: SYSTEM_TEST_MS_MAX,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['*/src/**/*.test.ts'],
          testTimeout: UNIT_TEST_MS_MAX,
          hookTimeout: UNIT_TEST_MS_MAX,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          globalSetup: ['test/global-setup.ts'],
          // One broker and one Postgres for all: files beside each other would only slow each other.
          fileParallelism: false,
          testTimeout: SYSTEM_TEST_MS_MAX,
          hookTimeout: SYSTEM_TEST_MS_MAX,
          // After the unit tests: what is broken there need not be looked for here.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
