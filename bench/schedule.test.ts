import { expect, test } from 'vitest'
import { scheduleJobs } from './schedule.ts'
import { ALL_SIDES, OUR_SIDES } from './sides/all-sides.ts'

test('every side runs on every load as often as asked, others than ours not before ours', () => {
  const jobs = scheduleJobs({ loads: ['hot', 'flat'], sides: ALL_SIDES, runs: 3 })
  const order = jobs.map(({ load, side }) => `${load} ${side.name}`)
  for (const load of ['hot', 'flat']) {
    for (const { name } of ALL_SIDES) {
      expect(order.filter((job) => job === `${load} ${name}`)).toHaveLength(3)
    }
  }
  const isOurs = jobs.map(({ side }) => OUR_SIDES.includes(side))
  const others = ALL_SIDES.length - OUR_SIDES.length
  // Once on the load that counts; all else by others comes when ours are done.
  expect(isOurs.lastIndexOf(true)).toBe(jobs.length - 1 - others * 5)
  expect(order).toContain('flat flink-two')
  expect(order.lastIndexOf('hot ours')).toBeLessThan(order.indexOf('hot flink-two'))
})
