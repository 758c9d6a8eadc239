import { expect, test } from 'vitest'
import { countTests } from './test-run.ts'

const file = (status: string, tests: number) => ({
  status,
  assertionResults: Array.from({ length: tests }, () => ({})),
})

test('tests are counted from the report', () => {
  const report = { numPassedTests: 7, numFailedTests: 2, testResults: [file('failed', 9)] }
  expect(countTests(report, 1)).toEqual({ passed: 7, failed: 2 })
})

test('a file that could not be loaded is a failure', () => {
  const report = {
    numPassedTests: 7,
    numFailedTests: 0,
    testResults: [file('passed', 7), file('failed', 0)],
  }
  expect(countTests(report, 1)).toEqual({ passed: 7, failed: 1 })
})

test('a run that failed for another reason, or left no report, is a failure', () => {
  const report = { numPassedTests: 7, numFailedTests: 0, testResults: [file('passed', 7)] }
  expect(countTests(report, 0)).toEqual({ passed: 7, failed: 0 })
  expect(countTests(report, 1)).toEqual({ passed: 7, failed: 1 })
  expect(countTests(undefined, 0)).toEqual({ passed: 0, failed: 1 })
})
