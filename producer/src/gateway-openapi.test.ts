import { expect, test } from 'vitest'
import { GATEWAY_OPENAPI } from './gateway-openapi.ts'

/** Every `$ref` anywhere in a document. */
function refsOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) =>
    name === '$ref' && typeof member === 'string' ? [member] : refsOf(member),
  )
}

test('the document is JSON, and every reference in it leads to a schema', () => {
  const document = JSON.parse(JSON.stringify(GATEWAY_OPENAPI)) as {
    components: { schemas: Record<string, unknown> }
  }
  const names = Object.keys(document.components.schemas)
  const refs = refsOf(document)
  expect(refs.length).toBeGreaterThan(5)
  for (const ref of refs) expect(names).toContain(ref.replace('#/components/schemas/', ''))
})
