// How values are spread: numbers as a histogram with quantiles, other values as bars.
import { Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { TraitValues } from "../api/types";
import { count, plain } from "../format";

type Numbers = NonNullable<TraitValues["numbers"]>;
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });

/** Bars that are labelled one by one. */
const LABELLED = 14;

/** A number as it reads on an axis. */
export const rounded = (value: unknown): string => short.format(Number(plain(value)));

export function Histogram({ numbers }: { numbers: Numbers }) {
  const { t } = useTranslation();
  const { bins, quantiles, least, most } = numbers;
  const highest = Math.max(...bins.map((one) => one.count));
  const median = quantiles.find(({ part }) => part === 0.5)?.value;
  const starts = bins.map((one) => Number(plain(one.least)));
  const width = (starts[1] ?? 0) - (starts[0] ?? 0);
  const end = Number(plain(most));
  // Few different numbers have a bar each; of many the last one may stand for all that are far beyond.
  const alone = bins.at(-1)?.least !== undefined && starts.at(-1) === end;
  const wide = !alone && bins.length > 1 && end - (starts.at(-1) ?? 0) > 1.5 * width;
  const said = (place: number) => {
    const bin = bins[place];
    if (bin === undefined) return "";
    const told = { least: rounded(bin.least), below: rounded(bin.below), shown: count(bin.count) };
    return t(alone ? "trait.binAlone" : "trait.bin", told);
  };
  return (
    <>
      <div
        className="histogram"
        role="img"
        aria-label={t("trait.histogram", {
          count: numbers.count,
          least: rounded(least),
          most: rounded(most),
          median: rounded(median),
        })}
      >
        {bins.map((bin, place) => (
          <i
            key={plain(bin.least)}
            title={said(place)}
            style={{ height: `${(100 * bin.count) / highest}%` }}
            data-none={bin.count === 0 || undefined}
            data-wide={(wide && place === bins.length - 1) || undefined}
          />
        ))}
      </div>
      <div className="axis" aria-hidden>
        {alone && bins.length <= LABELLED ? (
          bins.map((bin) => (
            <span key={plain(bin.least)} className="axisEach">
              {rounded(bin.least)}
            </span>
          ))
        ) : (
          <>
            <span>{rounded(least)}</span>
            <span>
              {wide
                ? t("trait.beyond", { from: rounded(bins.at(-1)?.least), most: rounded(most) })
                : rounded(most)}
            </span>
          </>
        )}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <section className="quantiles" aria-label={t("trait.quantiles")} tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="row">{t("trait.part")}</th>
              <th scope="col">{t("trait.least")}</th>
              {quantiles.map(({ part }) => (
                <th key={part} scope="col">
                  {part === 0.5 ? t("trait.median") : `${Math.round(part * 100)} %`}
                </th>
              ))}
              <th scope="col">{t("trait.most")}</th>
            </tr>
          </thead>
          <tbody>
            <tr>
              <th scope="row">{t("trait.atMost")}</th>
              <td>{plain(least)}</td>
              {quantiles.map(({ part, value }) => (
                <td key={part}>{plain(value)}</td>
              ))}
              <td>{plain(most)}</td>
            </tr>
          </tbody>
        </table>
      </section>
    </>
  );
}

export function Bars(props: {
  label: string;
  rows: readonly { value: unknown; count: number }[];
  distinct?: number;
}) {
  const { t } = useTranslation();
  const highest = Math.max(1, ...props.rows.map((one) => one.count));
  const others = (props.distinct ?? 0) - props.rows.length;
  return (
    <>
      <table className="bars" aria-label={props.label}>
        <colgroup>
          <col style={{ width: "32%" }} />
          <col />
        </colgroup>
        <thead className="srOnly">
          <tr>
            <th scope="col">{t("trait.value")}</th>
            <th scope="col">{t("trait.people")}</th>
          </tr>
        </thead>
        <tbody>
          {props.rows.map(({ value, count: people }) => (
            <tr key={plain(value)}>
              <th scope="row" className="anywhere">
                {plain(value)}
              </th>
              <td>
                <span className="barLine">
                  <i aria-hidden style={{ width: `${(100 * people) / highest}%` }} />
                  <span>{count(people)}</span>
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {others > 0 && (
        <Text size="xs" c="dimmed" mt={10}>
          {t("trait.others", { count: others, shown: count(others) })}
        </Text>
      )}
    </>
  );
}
