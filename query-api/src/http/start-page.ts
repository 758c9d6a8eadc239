import type { FastifyInstance } from 'fastify'

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Countersink</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem }
  code { font-size: 0.9em; overflow-wrap: anywhere }
</style>
<h1>Countersink</h1>
<p>The query API is running. What it answers:</p>
<ul>
  <li><a href="/v1/counters">/v1/counters</a>: the counters</li>
  <li><code>/v1/counters/{counter}/keys?prefix=</code>: the keys of one</li>
  <li><code>/v1/counters/{counter}/keys/{key}</code>: a total</li>
  <li><code>/v1/counters/{counter}/keys/{key}/windows?from=&amp;to=&amp;step=1h</code>: its windows</li>
  <li><a href="/v1/status">/v1/status</a>: how far every partition is counted</li>
  <li><a href="/openapi.json">/openapi.json</a>: all of it, described</li>
</ul>
</html>
`

/** Where a person lands who opens the address in a browser. */
export function addStartPage(app: FastifyInstance): void {
  app.get('/', (_request, reply) => reply.type('text/html; charset=utf-8').send(PAGE))
}
