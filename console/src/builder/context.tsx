import { Text } from "@mantine/core";
import { createContext, useContext } from "react";
import { useTranslation } from "react-i18next";
import { count } from "../format";

/** Whom conditions are about: people, or the properties of an event. */
export type Of = "person" | "event";
const OfContext = createContext<Of>("person");
export const OfProvider = OfContext.Provider;
export const useOf = () => useContext(OfContext);

export type Counts = {
  /** How many each node holds for, by its id. */
  known: ReadonlyMap<string, number>;
  /** Whether newer ones are on their way. */
  stale: boolean;
};
const CountsContext = createContext<Counts>({ known: new Map(), stale: false });
export const CountsProvider = CountsContext.Provider;

/** How many people one node holds for. */
export function CountOf({ id }: { id: string | undefined }) {
  const { t } = useTranslation();
  const { known, stale } = useContext(CountsContext);
  const of = useOf();
  const found = known.get(id ?? "");
  if (of === "event" || found === undefined) return null;
  return (
    <Text
      size="xs"
      className="builderNumber"
      data-stale={stale || undefined}
      aria-label={
        found === undefined ? undefined : t("builder.people", { count: found, shown: count(found) })
      }
    >
      {count(found)}
    </Text>
  );
}
