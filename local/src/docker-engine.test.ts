import { createServer } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dockerEngineAnswers, engineAddress } from './docker-engine.ts'

test('DOCKER_HOST says where the engine is', () => {
  expect(engineAddress({})).toEqual({ socketPath: '/var/run/docker.sock' })
  expect(engineAddress({ DOCKER_HOST: 'unix:///run/user/1000/docker.sock' })).toEqual({
    socketPath: '/run/user/1000/docker.sock',
  })
  expect(engineAddress({ DOCKER_HOST: 'tcp://10.0.0.7:2376' })).toEqual({
    host: '10.0.0.7',
    port: 2376,
  })
  expect(engineAddress({ DOCKER_HOST: 'ssh://me@there' })).toBeUndefined()
})

test('an engine is there when it answers its ping, whatever programs are installed', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'countersink-docker-'))
  const socket = join(dir, 'docker.sock')
  const environment = { DOCKER_HOST: `unix://${socket}` }
  let status = 200
  const engine = createServer((request, response) => {
    response.writeHead(request.url === '/_ping' ? status : 404).end('OK')
  })
  try {
    expect(await dockerEngineAnswers(environment)).toBe(false)
    await new Promise<void>((resolve) => engine.listen(socket, resolve))
    expect(await dockerEngineAnswers(environment)).toBe(true)
    status = 500
    expect(await dockerEngineAnswers(environment)).toBe(false)
  } finally {
    engine.close()
    await rm(dir, { recursive: true })
  }
})
