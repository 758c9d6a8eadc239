/** Which methods each path pattern knows, so that a wrong method is told from a wrong path. */
export type RoutesTable = {
  add(pattern: string, methods: readonly string[]): void
  /** The methods of the first pattern that a path matches; none when no pattern does. */
  methodsOf(path: string): string[]
}

/** Patterns are fastify's plain ones: literal segments, `:name` segments and a `*` at the end. */
export function createRoutesTable(): RoutesTable {
  const routes = new Map<string, { segments: string[]; methods: Set<string> }>()

  function add(pattern: string, methods: readonly string[]): void {
    const route = routes.get(pattern) ?? { segments: pattern.split('/'), methods: new Set() }
    for (const method of methods) route.methods.add(method)
    routes.set(pattern, route)
  }

  function methodsOf(path: string): string[] {
    const given = path.split('/')
    for (const { segments, methods } of routes.values()) {
      if (matches(segments, given)) return [...methods].toSorted()
    }
    return []
  }

  return { add, methodsOf }
}

function matches(segments: readonly string[], given: readonly string[]): boolean {
  const open = segments.at(-1) === '*'
  if (open ? given.length < segments.length : given.length !== segments.length) return false
  return segments.every(
    (segment, i) =>
      (open && i === segments.length - 1) ||
      (segment.startsWith(':') ? given[i] !== '' : segment === given[i]),
  )
}
