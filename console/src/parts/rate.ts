// The rate of the last minutes, from the differences between polls. It outlives the page that shows it.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { overviewQuery } from "../api/queries";

/** Seconds of history, and of silence after which the line is broken. */
const KEPT = 300;
const BREAK = 5;

type Point = { at: number; rate: number | null };
let points: Point[] = [];
let last: { asked: number; received: number } | null = null;

function add(asked: number, received: number): void {
  const now = Date.now() / 1000;
  if (last && asked <= last.asked) return;
  if (last && asked - last.asked < BREAK && received >= last.received) {
    points.push({ at: now, rate: (received - last.received) / (asked - last.asked) });
  } else if (last) {
    points.push({ at: now, rate: null });
  }
  last = { asked, received };
  points = points.filter(({ at }) => at > now - KEPT);
}

/** Overview, asked each second, with the rate that follows from it. */
export function useOverview() {
  const query = useQuery(overviewQuery);
  const [seen, setSeen] = useState<readonly Point[]>(points);
  const { data } = query;
  useEffect(() => {
    if (data?.received == null) return;
    add(data.asked, data.received);
    setSeen([...points]);
  }, [data]);
  return { query, points: seen };
}

/** Events a second over the last five seconds, or undefined before two polls. */
export function currentRate(seen: readonly Point[]): number | undefined {
  const latest = seen.slice(-5).flatMap(({ rate }) => (rate === null ? [] : [rate]));
  return latest.length ? latest.reduce((sum, rate) => sum + rate, 0) / latest.length : undefined;
}
