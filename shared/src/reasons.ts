/**
 * Why an event is invalid. The list is closed and its order is part of the stored format:
 * rejects keep the text, the ledger only counts. New reasons go to the end.
 */
export const INVALID_REASONS = [
  'null-value',
  'empty-value',
  'too-large',
  'not-utf8',
  'not-json',
  'too-deep',
  'not-an-object',
  'unknown-version',
  'unsupported-content-type',
  'bad-cloud-event',
  'bad-record',
  'bad-id',
  'bad-counter',
  'bad-key',
  'bad-delta',
  'negative-delta',
  'delta-out-of-bounds',
  'missing-at',
  'bad-at',
  'future',
  'bad-dims',
  'unknown-counter',
  'counter-quota',
  'series-quota',
  'misrouted',
  'packed-malformed',
  'packed-checksum',
] as const

export type InvalidReason = (typeof INVALID_REASONS)[number]

/** What a person is told, without the offending value: that stays in rejects. */
export const REASON_DETAILS: Record<InvalidReason, string> = {
  'null-value': 'the record has no value',
  'empty-value': 'the value is empty',
  'too-large': 'the value is larger than 64 KiB',
  'not-utf8': 'the value is not valid UTF-8',
  'not-json': 'the value is not valid JSON',
  'too-deep': 'the JSON is nested more than 64 levels deep',
  'not-an-object': 'the value is JSON but not an object',
  'unknown-version': 'the schema version is not one this version knows',
  'unsupported-content-type': 'the content type is not one of ours or of CloudEvents 1.0',
  'bad-cloud-event': 'a required attribute of CloudEvents 1.0 is missing or of the wrong type',
  'bad-record': 'the Kafka record itself cannot be read',
  'bad-id': 'id must be a string of 1 to 256 bytes without U+0000 or lone surrogates',
  'bad-counter':
    'counter must be a non-blank string of 1 to 128 bytes without U+0000 or lone surrogates',
  'bad-key': 'key must be a non-blank string of 1 to 1024 bytes without U+0000 or lone surrogates',
  'bad-delta': 'delta must be an integer number of at most 2^53 - 1 in magnitude',
  'negative-delta': 'the contract of this counter allows positive deltas only',
  'delta-out-of-bounds': 'delta is larger than the contract of this counter allows',
  'missing-at': 'an event with an id must have its at: a retry has to repeat both',
  'bad-at': 'at must be epoch milliseconds or an RFC 3339 time between 1970 and 9999',
  future: 'at is more than the allowed skew ahead of the append time',
  'bad-dims': 'dims must be an object of at most 16 strings (names to 64 bytes, values to 256)',
  'unknown-counter': 'no contract names this counter, and unknown counters are rejected',
  'counter-quota': 'this partition already has the greatest number of counters',
  'series-quota': 'this counter already has the greatest number of series in this partition',
  misrouted: 'the record is not in the partition that its counter and key belong to',
  'packed-malformed': 'the packed record does not follow its format, or is beyond its limits',
  'packed-checksum': 'the packed record is damaged: its checksum does not match',
}
