// Days as the law counts them: civil days of China, months of a term, instants of a deadline.
//
// A day is counted as Python's calendar counts it, 1 January of year 1 being day 1; an instant is whole
// milliseconds since 1970. China has one time, eight hours ahead of UTC. All numbers are whole and far
// below 2^53, so that they are exact. Nothing here asks a clock.

const DAY_MS = 86_400_000;
const CHINA_MS = 8 * 3_600_000;
const MINUTE_MS = 60_000;
/** 1 January 1970. */
const EPOCH = 719_163;
const WRITTEN = /^[12][0-9]{3}-[01][0-9]-[0-3][0-9]$/u;

/** The day of a year, a month from 0 and a day of the month; a month past the year goes on into the next. */
function toDay(year, month, ofMonth) {
  return Date.UTC(year, month, ofMonth) / DAY_MS + EPOCH;
}

function dateOf(day) {
  return new Date((day - EPOCH) * DAY_MS);
}

/** The day written YYYY-MM-DD, or null if there is no such day. */
export function parseDay(text) {
  if (typeof text !== "string" || !WRITTEN.test(text)) return null;
  const [year, month, ofMonth] = text.split("-").map(Number);
  const day = toDay(year, month - 1, ofMonth);
  return showDay(day) === text ? day : null;
}

/** A day as YYYY-MM-DD. */
export function showDay(day) {
  return dateOf(day).toISOString().slice(0, 10);
}

/** The day in China on which an instant falls. */
export function dayOf(instant) {
  return Math.floor((instant + CHINA_MS) / DAY_MS) + EPOCH;
}

/** The first instant of a day in China. */
export function startOf(day) {
  return (day - EPOCH) * DAY_MS - CHINA_MS;
}

export function yearOf(day) {
  return dateOf(day).getUTCFullYear();
}

/** 1 January. */
export function startOfYear(year) {
  return toDay(year, 0, 1);
}

export function daysInYear(year) {
  return startOfYear(year + 1) - startOfYear(year);
}

export function isWeekend(day) {
  return day % 7 === 0 || day % 7 === 6; // day 1 was a Monday
}

/**
 * The first day after so many months of which `start` is the first day: the one that corresponds to it,
 * or, in a month that has no such day, the first of the next (civil code 202).
 */
export function endOfMonths(start, months) {
  const date = dateOf(start);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() + months];
  return Math.min(toDay(year, month, date.getUTCDate()), toDay(year, month + 1, 1));
}

/** How many months of a term that starts on `start` have begun by `day`. */
export function countMonthsBegun(start, day) {
  if (day < start) return 0;
  const [first, last] = [dateOf(start), dateOf(day)];
  const years = last.getUTCFullYear() - first.getUTCFullYear();
  const whole = 12 * years + last.getUTCMonth() - first.getUTCMonth();
  return whole + (endOfMonths(start, whole) <= day ? 1 : 0);
}

/** The first instant that is too late for a last day: after 24:00, or after business (civil code 203). */
export function deadlineOf(lastDay, closesMinute) {
  if (closesMinute === null) return startOf(lastDay + 1);
  return startOf(lastDay) + closesMinute * MINUTE_MS + 1;
}
