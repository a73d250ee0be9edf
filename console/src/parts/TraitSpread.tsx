// A trait's values in cells of a list: how they are spread, and how fresh they are.
import { Text } from "@mantine/core";
import { useInViewport } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { traitQuery } from "../api/queries";
import type { TraitValues } from "../api/types";
import { plain, share } from "../format";
import { When } from "./Bits";
import { rounded } from "./Distribution";

const A_MINUTE = 60_000;

/** Asked for once it can be seen, and seldom: for each trait the store looks at many people. */
function useSeen(name: string) {
  const { ref, inViewport } = useInViewport<HTMLDivElement>();
  const { data } = useQuery({
    ...traitQuery(name),
    staleTime: A_MINUTE,
    refetchInterval: A_MINUTE,
    enabled: inViewport,
  });
  return { ref, data };
}

export function TraitSpread({ name }: { name: string }) {
  const { ref, data } = useSeen(name);
  return <div ref={ref}>{data ? <Spread trait={data} /> : <Nothing />}</div>;
}

export function TraitNewest({ name }: { name: string }) {
  const { ref, data } = useSeen(name);
  return (
    <Text ref={ref} size="sm" component="div">
      {data?.newest ? <When at={data.newest} /> : <Nothing />}
    </Text>
  );
}

function Nothing() {
  return <span style={{ color: "var(--mantine-color-dimmed)" }}>–</span>;
}

function Spread({ trait: { numbers, periods, values, elements, having } }: { trait: TraitValues }) {
  const { t } = useTranslation();
  if (numbers) {
    const median = numbers.quantiles.find(({ part }) => part === 0.5)?.value;
    return (
      <Spark
        bars={numbers.bins.map((one) => ({ key: plain(one.least), count: one.count }))}
        said={t("traits.numbers", {
          least: rounded(numbers.least),
          most: rounded(numbers.most),
          median: rounded(median),
        })}
      />
    );
  }
  if (periods && periods.length > 0) {
    return (
      <Spark
        bars={periods.map((one) => ({ key: one.period, count: one.count }))}
        said={t("traits.periods", { first: periods[0]?.period, last: periods.at(-1)?.period })}
      />
    );
  }
  const first = (values ?? elements)?.frequent[0];
  if (first === undefined) return <Nothing />;
  return (
    <Text size="sm" component="div" lineClamp={2} className="anywhere">
      {t("traits.frequent", { value: plain(first.value), percent: share(first.count, having) })}
    </Text>
  );
}

function Spark({ bars, said }: { bars: readonly { key: string; count: number }[]; said: string }) {
  const highest = Math.max(1, ...bars.map((one) => one.count));
  return (
    <>
      <div className="spark" aria-hidden>
        {bars.map(({ key, count }) => (
          <i
            key={key}
            style={{ height: `${(100 * count) / highest}%` }}
            data-none={count === 0 || undefined}
          />
        ))}
      </div>
      <Text size="xs" c="dimmed">
        {said}
      </Text>
    </>
  );
}
