export type Column = { title: string; align: 'left' | 'right' }

const GAP = '  '

/** Lines of a table without rules, the titles first. Widths count code points. */
export function formatTable(columns: readonly Column[], rows: readonly string[][]): string[] {
  const widths = columns.map((column, i) =>
    rows.reduce((width, row) => Math.max(width, lengthOf(row[i] ?? '')), lengthOf(column.title)),
  )
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, i) => pad(cells[i] ?? '', widths[i] ?? 0, column.align))
      .join(GAP)
      .trimEnd()
  return [line(columns.map((column) => column.title)), ...rows.map(line)]
}

function lengthOf(text: string): number {
  return Array.from(text).length
}

function pad(text: string, width: number, align: Column['align']): string {
  const spaces = ' '.repeat(Math.max(width - lengthOf(text), 0))
  return align === 'left' ? text + spaces : spaces + text
}

/** `1234567` as `1,234,567`; takes decimal strings of any size. */
export function grouped(count: number | bigint | string): string {
  return String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ',')
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`
}

const STEPS: readonly [number, string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
]

/** A length of time for a reader, with its largest unit: `3 d`, `1.5 h`, `250 ms`. */
export function spoken(ms: number): string {
  for (const [size, unit] of STEPS) {
    if (ms >= size) return `${Number((ms / size).toPrecision(ms / size < 10 ? 2 : 3))} ${unit}`
  }
  return `${Math.round(ms)} ms`
}
