import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { answer, api } from "../api/client";
import { writeJson } from "../api/exact";
import type { Tree } from "./drafts";

export type Asked = { where: Tree } | { sql: string };

/** Milliseconds after the last key until it is counted. */
const PATIENCE = 300;

const count = (asked: Asked, overlaps: boolean, signal: AbortSignal) =>
  answer(
    api.POST("/v1/audiences/preview", {
      signal,
      body: { ...asked, overlaps },
      bodySerializer: (body) => writeJson(body),
    }),
  );

/**
 * Counts whom a condition holds for, a moment after it was changed; overlaps come after the counts.
 *
 * An answer to what was asked before is kept until the next comes, with `settled` false; it is never taken for it.
 */
export function usePreview(asked: Asked | null) {
  const key = asked === null ? null : writeJson(asked);
  const [wanted] = useDebouncedValue(key, PATIENCE);
  const settled = wanted === key;
  const options = { enabled: key !== null && settled, staleTime: 10_000 };
  const counts = useQuery({
    ...options,
    queryKey: ["preview", wanted],
    queryFn: ({ signal }) => count(asked as Asked, false, signal),
    placeholderData: key === null ? undefined : keepPreviousData,
  });
  const overlaps = useQuery({
    ...options,
    queryKey: ["preview", "overlaps", wanted],
    queryFn: ({ signal }) => count(asked as Asked, true, signal),
    enabled: options.enabled && counts.isSuccess && !counts.isPlaceholderData,
    placeholderData: key === null ? undefined : keepPreviousData,
  });
  const fresh = settled && !counts.isPlaceholderData && !counts.isFetching;
  return { counts, overlaps, key, fresh };
}
