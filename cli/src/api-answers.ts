import { OUTCOMES } from '@countersink/shared/outcomes'
import { z } from 'zod'

const decimal = z.string().regex(/^-?\d+$/)
const offset = z.int().min(0)
/** Offsets and lags may be numbers or decimal strings; they are safe integers either way. */
const wholeNumber = z.union([z.int(), decimal.transform(Number).pipe(z.int())])

export const totalAnswer = z.looseObject({
  counter: z.string(),
  key: z.string(),
  total: decimal,
  asOf: z.string().nullable(),
  lagMs: z.number().nullable(),
  position: z.string(),
})

export const windowsAnswer = z.looseObject({
  windows: z.array(
    z.looseObject({ start: z.string(), end: z.string(), delta: decimal, state: z.string() }),
  ),
  asOf: z.string().nullable(),
  lagMs: z.number().nullable(),
  position: z.string(),
})

const partitionStatus = z.looseObject({
  partition: offset,
  next: wholeNumber,
  end: wholeNumber.nullable(),
  lag: wholeNumber.nullable(),
  state: z.string(),
  read: decimal,
  applied: decimal,
  duplicate: decimal,
  conflict: decimal,
  late: decimal,
  invalid: decimal,
})

export const statusAnswer = z.looseObject({
  generation: z.int(),
  partitions: z.array(partitionStatus),
})
export type StatusAnswer = z.output<typeof statusAnswer>

/**
 * What became of the offsets `[from, next)` of one partition: an offset that is neither listed nor
 * in a gap was applied.
 */
export const outcomesAnswer = z.looseObject({
  partition: offset,
  next: wholeNumber,
  outcomes: z.array(z.tuple([offset, offset, z.enum(OUTCOMES)])),
  gaps: z.array(z.tuple([offset, offset])).optional(),
})
export type OutcomesAnswer = z.output<typeof outcomesAnswer>
