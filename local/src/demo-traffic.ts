/** One event of the demo, complete with id and time so that it can be sent again as it is. */
export type DemoEvent = {
  id: string
  counter: string
  key: string
  delta: number
  at: number
  dims?: Record<string, string>
}

export type DemoTraffic = { next: (nowMs: number) => { event: DemoEvent; isRetry: boolean } }

const VIDEOS = 1000
const POSTS = 200
const COUNTRIES = ['de', 'us', 'in', 'br', 'fr', 'jp', 'ng']
const LIKE_SHARE = 0.25
const UNLIKE_SHARE = 0.15
const RETRY_SHARE = 0.1
/** Retries repeat one of the last events, as a client does that saw no answer. */
const RECENT_EVENTS_MAX = 500

/**
 * Video views and likes as a site has them: few keys get most, and every tenth event is a retry with
 * the same id and time, which must not count again. `session` makes the ids of one demo its own.
 */
export function createDemoTraffic(random: () => number, session: string): DemoTraffic {
  const recent: DemoEvent[] = []
  let made = 0

  function fresh(nowMs: number): DemoEvent {
    made += 1
    const base = { id: `demo-${session}-${made}`, at: nowMs }
    if (random() < LIKE_SHARE) {
      const delta = random() < UNLIKE_SHARE ? -1 : 1
      return { ...base, counter: 'likes', key: `post_${skewed(POSTS)}`, delta }
    }
    const country = COUNTRIES[skewed(COUNTRIES.length)] ?? 'de'
    return {
      ...base,
      counter: 'video_views',
      key: `v_${skewed(VIDEOS)}`,
      delta: 1,
      dims: { country },
    }
  }

  /** 0 … count - 1, the small numbers far more often: half of all draws are in the first eighth. */
  function skewed(count: number): number {
    return Math.floor(random() ** 3 * count)
  }

  return {
    next: (nowMs) => {
      const again = recent[Math.floor(random() * recent.length)]
      if (again && random() < RETRY_SHARE) return { event: again, isRetry: true }
      const event = fresh(nowMs)
      if (recent.length < RECENT_EVENTS_MAX) recent.push(event)
      else recent[made % RECENT_EVENTS_MAX] = event
      return { event, isRetry: false }
    },
  }
}
