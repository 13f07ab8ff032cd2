// Times, sizes and numbers as the user's language writes them.
const formatter = (options) => new Intl.DateTimeFormat(undefined, options);
const hour = formatter({ timeStyle: "short" });
const weekday = formatter({ weekday: "short" });
const day = formatter({ day: "numeric", month: "short" });
const date = formatter({ dateStyle: "medium" });
const time = formatter({ dateStyle: "medium", timeStyle: "short" });
const full = formatter({ dateStyle: "full", timeStyle: "medium" });

const DAY_MS = 86_400_000;
const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

export const timeOfDay = (iso) => hour.format(new Date(iso));
export const formatTime = (iso) => time.format(new Date(iso));
export const fullTime = (iso) => full.format(new Date(iso));

/** The hour today, the day of the week before that, and the date of older times. */
export function shortTime(iso, now = new Date()) {
  const given = new Date(iso);
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  if (given >= midnight) return hour.format(given);
  if (midnight - given < 6 * DAY_MS) return weekday.format(given);
  return given.getFullYear() === now.getFullYear() ? day.format(given) : date.format(given);
}

export function formatSize(bytes) {
  const exponent = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  return new Intl.NumberFormat(undefined, {
    style: "unit",
    unit: UNITS[exponent],
    unitDisplay: exponent === 0 ? "long" : "short",
    maximumFractionDigits: 1,
  }).format(bytes / 1000 ** exponent);
}

export function count(number, singular, plural) {
  return `${new Intl.NumberFormat().format(number)} ${number === 1 ? singular : plural}`;
}
