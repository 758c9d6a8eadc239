import type pg from 'pg'

export type SessionSettings = Omit<pg.ClientConfig, 'connectionString' | 'options'> & {
  /** Settings of the session, `name=value`. */
  settings?: readonly string[] | undefined
}

/**
 * How pg connects for a session of ours. What stands in a URL's query would replace what it is told
 * beside it (`?options=` the settings that plans rely on, `?application_name=` the name by which
 * others find whoever commits): ours hold, and of the URL's `options` what ours leave open.
 */
export function sessionConfig(
  databaseUrl: string,
  { settings = [], ...ours }: SessionSettings,
): pg.ClientConfig {
  const options = settings.map((setting) => `-c ${setting}`)
  // What is no URL for us, a socket's directory say, has no query that pg would read.
  const url = URL.canParse(databaseUrl) ? new URL(databaseUrl) : undefined
  if (url === undefined || url.search === '') {
    return { ...ours, connectionString: databaseUrl, options: options.join(' ') }
  }
  const theirs = url.searchParams.getAll('options')
  for (const name of ['options', ...Object.keys(ours)]) url.searchParams.delete(name)
  return { ...ours, connectionString: url.href, options: [...theirs, ...options].join(' ') }
}
