const time = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

export function formatTime(iso) {
  return time.format(new Date(iso));
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
