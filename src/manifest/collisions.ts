/** Half-open intervals that lie over one another. */

export interface Interval<T> {
  readonly start: number;
  readonly end: number;
  readonly owner: T;
}

/** One pair for each interval that begins inside an earlier one: every collision is named, no pair twice. */
export function collisions<T>(intervals: readonly Interval<T>[]): (readonly [Interval<T>, Interval<T>])[] {
  const sorted = intervals.filter((interval) => interval.end > interval.start).sort((a, b) => a.start - b.start);
  const pairs: (readonly [Interval<T>, Interval<T>])[] = [];
  let reach: Interval<T> | undefined;
  for (const interval of sorted) {
    if (reach !== undefined && interval.start < reach.end) pairs.push([reach, interval]);
    if (reach === undefined || interval.end > reach.end) reach = interval;
  }
  return pairs;
}

/** Who uses one thing more than once: second and later users, each with the first. */
export function repeats<T>(uses: Iterable<{ readonly key: string | number; readonly owner: T }>): { readonly key: string | number; readonly first: T; readonly again: T }[] {
  const firsts = new Map<string | number, T>();
  const found: { key: string | number; first: T; again: T }[] = [];
  for (const { key, owner } of uses) {
    const first = firsts.get(key);
    if (first === undefined) firsts.set(key, owner);
    else found.push({ key, first, again: owner });
  }
  return found;
}
