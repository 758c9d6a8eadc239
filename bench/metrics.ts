/** One number of a service's /metrics, all of its labels added up; 0 when it is not there. */
export async function metricOf(service: { url: string }, name: string): Promise<number> {
  const text = await (await fetch(`${service.url}/metrics`)).text()
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
