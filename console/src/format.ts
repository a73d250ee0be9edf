// How values read. Times are shown in the reader's zone, with UTC in the tooltip.
import { Exact, writeJson } from "./api/exact";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 3 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const precise = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

export const count = (value: number | undefined): string => (value === undefined ? "–" : whole.format(value));

/** "2.4 %"; what is not nothing is never told as 0. */
export function share(part: number, whole: number): string {
  const percent = whole === 0 ? 0 : (100 * part) / whole;
  return percent > 0 && percent < 0.1 ? "< 0.1 %" : `${one.format(percent)} %`;
}
export const rate = (value: number): string => (value >= 100 ? whole.format(value) : one.format(value));
export const clockTime = (iso: string): string => clock.format(new Date(iso));
export const dateTime = (iso: string): string => day.format(new Date(iso));

/** What an input of a date and a time shows and gives: the reader's own time, to the second. */
export const asInput = (iso: string): string => {
  const time = new Date(iso);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
};
export const fromInput = (value: string): string | undefined => {
  const time = new Date(value);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
};

/** To the second: the past is asked for so. */
export const instant = (iso: string): string => precise.format(new Date(iso));

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** "3 min. ago"; within the last ten seconds "just now". */
export function ago(iso: string, now: number, justNow: string): string {
  const seconds = (new Date(iso).getTime() - now) / 1000;
  if (Math.abs(seconds) < 10) return justNow;
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  }
  return relative.format(Math.round(seconds), "second");
}

/** So many seconds, to a tenth; what is less than that, to a thousandth. */
export const took = (seconds: number): string =>
  seconds >= 0.1 ? one.format(Number(seconds)) : fine.format(Number(seconds));

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  if (value < 1024 * 1024) return `${one.format(value / 1024)} KiB`;
  return `${one.format(value / 1024 / 1024)} MiB`;
}

/** A value of JSON as one line of text. */
export function plain(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return value;
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : value.toString();
  if (value instanceof Exact) return value.source;
  return writeJson(value).replace(/\s+/g, " ");
}

/** The same, beginning a line: "Big spenders". */
export const title = (name: string): string =>
  words(name).replace(/^\p{Ll}/u, (letter) => letter.toUpperCase());

/** "lifetime_value" as people say it: "lifetime value". */
export const words = (name: string): string => name.replaceAll("_", " ");
