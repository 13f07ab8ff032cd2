// Times as lists show them: the hour today, the day before that, and the date of older ones.
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

const DAY_MS = 86_400_000;

export function shortTime(iso, now = new Date()) {
  const time = new Date(iso);
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  if (time >= midnight) return hour.format(time);
  if (midnight - time < 6 * DAY_MS) return weekday.format(time);
  return time.getFullYear() === now.getFullYear() ? day.format(time) : date.format(time);
}

export const fullTime = (iso) => full.format(new Date(iso));
export const timeOfDay = (iso) => hour.format(new Date(iso));
