// Published data: rates and rest days, each page signed onto the ledger by who is competent.
//
// Later pages add to earlier ones, and one that speaks again of the same instant or day corrects it. A
// rate is the last at or before the day or instant that the rule names. What no page says is not
// guessed: a rate is then unknown, and a missing year of rest days is refused where it decides.

import { isWeekend, showDay, startOfYear, yearOf } from "./law_days.js";
import { Fields, PPM_MAX, refuseLaw } from "./law_fields.js";
import { quote } from "./quoting.js";
import { INTEGER_MAX } from "./strict_json.js";

export const SERIES = ["lpr_1y", "deposit_1y", "rest_days"];
/** Before a supervised account's id. */
export const ACCOUNT = "account/";
const POINTS_MAX = 1_000;
const [, , REST_DAYS] = SERIES;

/** One page out of its document; refuses what is none. */
export function readPage(document, path) {
  const fields = new Fields(document, path);
  fields.format("evidence-ledger/published", 1);
  const page = { position: fields.integer("position", 0, INTEGER_MAX), series: fields.word("series") };
  const { series } = page;
  fields.text("source");
  if (series === REST_DAYS) {
    fields.ms("published");
    page.year = fields.integer("year", 1990, 2248);
    page.rest = readDays(fields, "rest", page.year);
    page.worked = readDays(fields, "worked", page.year);
  } else if (series.startsWith(ACCOUNT)) {
    page.points = readPoints(fields, (point) => point.day("from"));
  } else if (SERIES.includes(series)) {
    page.points = readPoints(fields, (point) => point.ms("published"));
  } else {
    fields.refuse("series", `is ${quote(series)}; ${SERIES.join(", ")} or ${ACCOUNT}… is expected`);
  }
  fields.end();
  return page;
}

function readPoints(fields, readSince) {
  const read = (point) => {
    const found = [readSince(point), point.integer("ppm", 0, PPM_MAX)];
    point.end();
    return found;
  };
  return fields.objects("points", read, POINTS_MAX, 1);
}

function readDays(fields, member, year) {
  const days = fields.days(member);
  const [begin, end] = [startOfYear(year), startOfYear(year + 1)];
  const other = days.find((day) => day < begin || day >= end);
  if (other !== undefined) {
    fields.refuse(member, `holds ${showDay(other)}; days of ${year} are expected`);
  }
  return new Set(days);
}

/** What all pages say together; `read` is as `readPage`. */
export class Published {
  #rates = new Map();
  #years = new Map();

  constructor(documents, read = readPage) {
    const pages = documents.map((document, place) => read(document, `published[${place}]`));
    if (new Set(pages.map(({ position }) => position)).size !== pages.length) {
      refuseLaw("two pages have one position; each entry is one page");
    }
    const points = new Map();
    for (const page of pages.sort((one, other) => one.position - other.position)) {
      if (page.year !== undefined) this.#years.set(page.year, page);
      if (!points.has(page.series)) points.set(page.series, new Map());
      for (const [since, ppm] of page.points ?? []) points.get(page.series).set(since, ppm);
    }
    for (const [series, found] of points) {
      this.#rates.set(series, [...found].sort(([one], [other]) => one - other));
    }
  }

  /** Pairs of since when and how many millionths, in order. */
  ratesOf(series) {
    return this.#rates.get(series) ?? [];
  }

  /** The last rate of a series at or before an instant, in millionths, or null. */
  findRate(series, instant) {
    return rateAt(this.ratesOf(series), instant);
  }

  /** Whether a year's rest days are published. */
  knows(day) {
    return this.#years.has(yearOf(day));
  }

  /** Whether a day is a rest day (civil code 203); its year must be known. */
  isRest(day) {
    const { rest, worked } = this.#years.get(yearOf(day));
    return !worked.has(day) && (rest.has(day) || isWeekend(day));
  }
}

/** The last rate of a list at or before an instant or day, in millionths, or null. */
export function rateAt(rates, instant) {
  let [low, high] = [0, rates.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rates[middle][0] <= instant) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : rates[low - 1][1];
}
