/**
 * One number of a service's /metrics, added up over all of its labels, or over those lines that have
 * `label`, as in `le="0.05"`; 0 when it is not there.
 */
export async function metricOf(
  service: { url: string },
  name: string,
  label = '',
): Promise<number> {
  const text = await (await fetch(`${service.url}/metrics`)).text()
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .filter((line) => line.includes(label))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
