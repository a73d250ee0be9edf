// Names that are suggested while one writes: what is defined, and what has been seen lately.
import { useQuery } from "@tanstack/react-query";
import { createContext, useContext } from "react";
import { audiencesQuery, recentEventsQuery, traitsQuery } from "../api/queries";
import type { Subject } from "./drafts";

export type Names = Record<Subject | "event", string[]>;

const KINDS = [
  "user_id",
  "email",
  "anonymous_id",
  "android.id",
  "android.idfa",
  "android.push_token",
  "ga_client_id",
  "ios.id",
  "ios.idfa",
  "ios.push_token",
];
const NONE: Names = {
  trait: [],
  attribute: [],
  identifier: KINDS,
  consent: [],
  group: [],
  audience: [],
  did: [],
  sequence: [],
  property: [],
  raw: [],
  event: [],
};

const Suggested = createContext<Names>(NONE);
export const SuggestedNames = Suggested.Provider;
export const useNames = () => useContext(Suggested);

const distinct = (names: string[]) => [...new Set(names)].sort();

/** All of them; what cannot be asked for is not suggested. */
export function useSuggestions(): Names {
  const { data: audiences } = useQuery(audiencesQuery);
  const { data: traits } = useQuery(traitsQuery);
  const { data: seen } = useQuery(recentEventsQuery({}));
  const recent = seen?.events ?? [];
  const tracked = recent.filter(({ type }) => type === "track");
  return {
    ...NONE,
    audience: (audiences?.audiences ?? []).map(({ name }) => name),
    trait: (traits?.traits ?? []).map(({ name }) => name),
    property: distinct(recent.flatMap(({ properties }) => Object.keys(properties ?? {}))),
    event: distinct(tracked.flatMap(({ name }) => name ?? [])),
  };
}
