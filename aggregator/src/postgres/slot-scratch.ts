import { PAGE_SLOTS, toLimbs } from '@countersink/shared/page-format'
import type { PagedSums } from '../core/paged-sums.ts'

/**
 * Sums taken out of blocks in the order of their slots, ready to be written as arrays. `wide` is
 * there when one of them does not fit a safe integer: then it holds all of them in two limbs.
 */
export type SlotScratch = {
  length: number
  slots: Int32Array
  lows: Float64Array
  wide: { lows: bigint[]; carries: bigint[] } | undefined
}

const SLOTS_INITIAL = 1024

export function createSlotScratch(): SlotScratch {
  return {
    length: 0,
    slots: new Int32Array(SLOTS_INITIAL),
    lows: new Float64Array(SLOTS_INITIAL),
    wide: undefined,
  }
}

/** Appends the touched sums of a block; `base` is added to their index. Starts anew at length 0. */
export function gatherSlots(
  sums: PagedSums,
  block: number,
  base: number,
  scratch: SlotScratch,
): void {
  if (scratch.length === 0) scratch.wide = undefined
  if (scratch.length + PAGE_SLOTS > scratch.slots.length) grow(scratch)
  const { slots, lows } = scratch
  const begin = scratch.length
  let length = begin
  for (let word = 0; word < PAGE_SLOTS / 32; word++) {
    let bits = sums.touched[block * (PAGE_SLOTS / 32) + word]!
    while (bits !== 0) {
      const index = word * 32 + 31 - Math.clz32(bits & -bits)
      bits &= bits - 1
      slots[length] = base + index
      lows[length++] = sums.low[block * PAGE_SLOTS + index]!
    }
  }
  scratch.length = length
  if (scratch.wide === undefined && !sums.isWide(block)) return
  widen(scratch, begin)
  for (let i = begin; i < length; i++) pushLimbs(scratch, sums.sum(block, slots[i]! - base))
}

/** All 128 sums of a block, touched or not. */
export function gatherPage(sums: PagedSums, block: number, scratch: SlotScratch): void {
  if (scratch.length === 0) scratch.wide = undefined
  if (scratch.length + PAGE_SLOTS > scratch.slots.length) grow(scratch)
  const begin = scratch.length
  const low = sums.low.subarray(block * PAGE_SLOTS, (block + 1) * PAGE_SLOTS)
  scratch.lows.set(low, begin)
  scratch.length += PAGE_SLOTS
  if (scratch.wide === undefined && !sums.isWide(block)) return
  widen(scratch, begin)
  for (let index = 0; index < PAGE_SLOTS; index++) pushLimbs(scratch, sums.sum(block, index))
}

/** Goes over to limbs, taking along the sums gathered so far. */
function widen(scratch: SlotScratch, count: number): void {
  if (scratch.wide !== undefined) return
  scratch.wide = { lows: [], carries: [] }
  for (let i = 0; i < count; i++) pushLimbs(scratch, BigInt(scratch.lows[i]!))
}

function pushLimbs(scratch: SlotScratch, sum: bigint): void {
  const { low, carry } = toLimbs(sum)
  scratch.wide!.lows.push(low)
  scratch.wide!.carries.push(carry)
}

function grow(scratch: SlotScratch): void {
  const slots = new Int32Array(scratch.slots.length * 2)
  slots.set(scratch.slots)
  scratch.slots = slots
  const lows = new Float64Array(scratch.lows.length * 2)
  lows.set(scratch.lows)
  scratch.lows = lows
}
