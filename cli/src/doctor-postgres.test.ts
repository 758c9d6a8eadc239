import { expect, test } from 'vitest'
import { ownersCheck } from './doctor-postgres.ts'

function check(...owners: (string | null)[]) {
  const { level, detail } = ownersCheck(
    owners.map((owner, partition) => ({ partition, owner, owned: owner !== null })),
  )
  return [level, detail]
}

test('doctor counts who owns the partitions, and names those of nobody', () => {
  expect(check('a')).toEqual(['ok', '1 partition owned by 1 aggregator'])
  expect(check('a', 'a', 'a')).toEqual(['ok', '3 partitions owned by 1 aggregator'])
  expect(check('a', 'b', 'a')).toEqual(['ok', '3 partitions owned by 2 aggregators'])
  expect(check('a', null)).toEqual(['fail', 'nobody counts partition 1'])
  expect(check(null, 'a', null)).toEqual(['fail', 'nobody counts partitions 0, 2'])
  expect(check()).toEqual(['fail', 'no aggregator has counted into this database yet'])
})
