const text = { type: 'string' }
const whole = { type: 'integer' }
const decimal = { type: 'string', pattern: '^-?[0-9]+$' }
const time = { type: 'string', format: 'date-time' }
const dims = { type: 'object', additionalProperties: text }

/** A reference to one of the schemas below. */
export function shown(name: string): { $ref: string } {
  return { $ref: `#/components/schemas/${name}` }
}

function object(properties: Record<string, object>, optional: readonly string[] = []): object {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: 'object', properties, required }
}

function list(items: object): object {
  return { type: 'array', items }
}

function orNull(schema: object): object {
  return { oneOf: [schema, { type: 'null' }] }
}

const fresh = {
  asOf: {
    ...orNull(time),
    description:
      'The least clock of the partitions asked: the largest event time counted, or now less the skew where all is counted',
  },
  lagMs: {
    ...orNull(whole),
    description:
      '0 when all is counted, as of a look at the log at most half a second ago; else the age of the oldest uncounted record, rounded up; null while the log cannot be seen',
  },
  position: { ...text, description: 'What exactly is counted in this answer; opaque' },
}
const cursor = { ...orNull(text), description: 'Where the list goes on; null at its end' }

export const schemas = {
  Counters: object({
    counters: list(object({ counter: text, windows: list(text) })),
    cursor,
    ...fresh,
  }),
  Keys: object({ counter: text, keys: list(text), cursor, ...fresh }),
  Series: object({ counter: text, key: text, dims }, ['dims']),
  Total: object({ counter: text, key: text, dims, total: decimal, ...fresh }, ['dims']),
  Totals: object({
    totals: list(
      object(
        {
          counter: text,
          key: text,
          dims,
          total: { ...orNull(decimal), description: 'Null when the counter is unknown' },
        },
        ['dims'],
      ),
    ),
    ...fresh,
  }),
  Windows: object(
    {
      counter: text,
      key: text,
      dims,
      from: time,
      to: time,
      step: text,
      ...fresh,
      windows: list(
        object({
          start: time,
          end: time,
          delta: decimal,
          state: { enum: ['provisional', 'final'] },
        }),
      ),
    },
    ['dims'],
  ),
  Status: object({
    generation: whole,
    topic: text,
    position: text,
    partitions: list(
      object(
        {
          partition: whole,
          next: { ...whole, description: 'Everything before it is counted' },
          end: { ...orNull(whole), description: 'Where the log was last seen to end' },
          lag: { ...orNull(whole), description: 'Null when the log has not been seen lately' },
          lagMs: orNull(whole),
          state: { enum: ['live', 'catching-up', 'halted'] },
          halted: { ...text, description: 'Why; only when halted' },
          read: decimal,
          applied: decimal,
          duplicate: decimal,
          conflict: decimal,
          late: decimal,
          invalid: decimal,
          misrouted: decimal,
        },
        ['halted'],
      ),
    ),
  }),
  Outcomes: object({
    partition: whole,
    next: { ...whole, description: 'Where this page ends' },
    counted: { ...whole, description: 'How far the partition is counted' },
    outcomes: {
      ...list({ type: 'array', prefixItems: [whole, whole, text] }),
      description: '[offset, index in the record, outcome]',
    },
    gaps: {
      ...list({ type: 'array', prefixItems: [whole, whole] }),
      description: 'Ranges of offsets that were given up, or whose outcomes are not kept any more',
    },
  }),
  Problem: object({ type: text, title: text, status: whole, detail: text, code: text }),
}
