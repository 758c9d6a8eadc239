/** Bounds of the aggregator, units last. What a user may want to turn is in config.ts. */
export const LIMITS = {
  /** Sums in the layer that is being folded, per partition: 4 KiB a block. */
  openBlocksMax: 4096,
  /** Events folded and not committed, over all partitions. */
  pendingEventsMax: 1_000_000,
  /** Events folded without asking for room and letting others have a turn; then to a record's end. */
  eventsPerTurnMax: 65_536,
  /**
   * Sums in the log that are not in pages, per partition. A take-over and the readers find these, and
   * in mid-catch-up what else the last large commit holds.
   */
  dirtEntriesMax: 131_072,
  /** Pages that those are in, per partition: 128 MiB at the worst, when each has one or a few. */
  dirtBlocksMax: 32_768,
  /**
   * Pages kept in memory per partition, 4 KiB each: twice as many as its totals have, so that those
   * and the windows being filled stay, and old windows make room.
   */
  pagesCachedMin: 128,
  pagesCachedMax: 4096,
  /** Pages that a live commit writes per partition at most, so that it is quick. */
  livePagesMax: 48,
  /** A live commit writes one of so many dirty pages: all get their turn in as many, if more come. */
  livePagesTurns: 100,
  /** Of a partition that is silent meanwhile, whose turns are rare (quietTurnMs). */
  quietPagesTurns: 10,
  idlePagesMax: 512,
  /** Stored names of series that one commit merges, 1 us each, or gives a filter: others wait for the next. */
  namesRewrittenMax: 65_536,
  /** Behind by more than this many events, commits are large and write all pages. */
  behindEventsMin: 50_000,
  behindEventsPerCommit: 500_000,
  behindCommitIntervalMs: 2000,
  /** A commit of so many events that is not behind any more has caught up: it writes all pages. */
  flushEventsMin: 250_000,
  idleFlushMs: 250,
  /** So often a live commit takes the dirty pages of silent partitions along. */
  quietTurnMs: 1000,
  beatIntervalMs: 1000,
  routingCheckMs: 1000,
  /** A routing version is planned to be in the log by then; one that is not does not count. */
  routingAppendMsMax: 2000,
  /** How often it is looked whether ids that leave the memory have left it. */
  coolingCheckMs: 10,
  retryDelayMsMin: 50,
  retryDelayMsMax: 2000,
  /** A commit that Postgres itself refuses so often, for what is in it, is given up. */
  refusalsMax: 10,
  /** A zombie stopped in mid-transaction must not keep its successor waiting for the row. */
  idleInTransactionMsMax: 2500,
  /** A claim waits so long for rows that another owner's commit has locked. */
  claimWaitMsMax: 2000,
  statementMsMax: 60_000,
  /** Commits have failed for so long: not ready. */
  commitStallMsMax: 5000,
  /** No fetch has come back for so long although partitions are ours: not ready. */
  fetchStallMsMax: 15_000,
  /** And for so long: the process ends, and whoever supervises it starts a new one. */
  fetchStallExitMsMax: 120_000,
  /** An orderly end, step by step: together less than the 12 s after which we would be killed. */
  quiesceMsMax: 2000,
  drainMsMax: 6000,
  leaveMsMax: 2000,
  closeMsMax: 1000,
} as const
