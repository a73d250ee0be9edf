import { Text } from "@mantine/core";
import { IconMathFunction } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { overviewQuery, traitQuery } from "../api/queries";
import type { TraitValues } from "../api/types";
import { definitionFile } from "../builder/yaml";
import { count, share, title, took } from "../format";
import { Copy, Facts, Status, When } from "../parts/Bits";
import { Words } from "../parts/ConditionTree";
import { Bars, Histogram } from "../parts/Distribution";
import { Page, Panel } from "../parts/Page";
import { Empty, Loaded } from "../parts/States";
import { traitTokens } from "../parts/traitWords";

export function TraitPage() {
  const { t } = useTranslation();
  const { name } = useParams({ from: "/shell/traits/$name" });
  const query = useQuery(traitQuery(name));
  const missing = query.error instanceof ApiError && query.error.status === 404 && !query.data;
  return (
    <Page
      title={missing ? t("trait.missing") : title(name)}
      about={query.data?.description || t("trait.about")}
      back={{ to: "/traits", label: t("traits.title") }}
    >
      {missing ? (
        <Panel>
          <Empty icon={<IconMathFunction size={22} />} title={t("trait.unknown", { name })}>
            {t("trait.unknownRemedy")}
          </Empty>
        </Panel>
      ) : query.data ? (
        <Loaded query={query}>{(trait) => <Told trait={trait} />}</Loaded>
      ) : (
        <Panel>
          <Loaded query={query} lines={8}>
            {() => null}
          </Loaded>
        </Panel>
      )}
    </Page>
  );
}

function Told({ trait }: { trait: TraitValues }) {
  const { t } = useTranslation();
  const yaml = definitionFile("trait", trait.name, trait.description, trait.spec);
  return (
    <div className="split wideLeft">
      <Spread trait={trait} />
      <div className="split">
        <Reach trait={trait} />
        {"sql" in trait.spec && <LatestRun run={trait.run} />}
        <Panel title={t("trait.definition")} aside={<Copy text={yaml} label={t("trait.copyYaml")} />}>
          <div className="condition" style={{ marginBottom: 12 }}>
            <Words of={traitTokens(trait.spec, t)} />
          </div>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
          <section className="code" aria-label={t("trait.yaml")} tabIndex={0}>
            <code>{yaml}</code>
          </section>
        </Panel>
      </div>
    </div>
  );
}

function Reach({ trait }: { trait: TraitValues }) {
  const { t } = useTranslation();
  const overview = useQuery(overviewQuery);
  const partitions = overview.data?.lag && Object.values(overview.data.lag);
  const lag = partitions?.reduce((sum, partition) => sum + partition.lag, 0);
  const { everybody, having, looked_at, newest } = trait;
  const said = { percent: share(having, looked_at), people: count(everybody), everybody: count(everybody) };
  return (
    <>
      <Panel label={t("trait.having")} flush>
        <div className="builderReach">
          <div className="figureLabel">{t("trait.having")}</div>
          <div className="figureValue">{count(having)}</div>
          <Text size="sm" c="dimmed">
            {looked_at < everybody
              ? t("trait.sampled", { ...said, looked: count(looked_at) })
              : t("trait.share", said)}
          </Text>
          <div className="bar" aria-hidden>
            {having > 0 && <i style={{ width: `${(100 * having) / looked_at}%` }} />}
          </div>
        </div>
      </Panel>
      <Panel title={t("trait.freshness")}>
        <Facts
          facts={[
            [t("trait.newest"), newest === null ? t("trait.never") : <When key="when" at={newest} />],
            [
              t("trait.lag"),
              lag === undefined ? "–" : t("trait.lagEvents", { count: lag, shown: count(lag) }),
            ],
          ]}
        />
      </Panel>
    </>
  );
}

/** What came of the latest run of its query. */
function LatestRun({ run }: { run: TraitValues["run"] }) {
  const { t } = useTranslation();
  if (run === null) {
    return (
      <Panel title={t("trait.run.title")}>
        <Text size="sm" c="dimmed">
          {t("trait.run.none")}
        </Text>
      </Panel>
    );
  }
  const seconds = run.took_seconds === null ? "–" : t("trait.run.seconds", { shown: took(run.took_seconds) });
  const others = Object.entries(run.rows).filter(([name]) => !["given", "same"].includes(name));
  return (
    <Panel title={t("trait.run.title")}>
      <Facts
        facts={[
          [
            t("trait.run.outcome"),
            <Status key="outcome" tone={run.flaw === null ? "good" : "bad"}>
              {t(run.flaw === null ? "trait.run.well" : "trait.run.failed")}
            </Status>,
          ],
          [t("trait.run.at"), <When key="at" at={run.at} />],
          [t("trait.run.took"), seconds],
          [t("trait.run.people"), run.flaw === null ? count(run.people) : "–"],
          ...others.map(([name, rows]): [string, string] => [
            t(`trait.run.rows.${name as "gone"}`),
            count(rows),
          ]),
          [t("trait.run.due"), <When key="due" at={run.due_at} />],
        ]}
      />
      {run.flaw !== null && (
        <Text size="sm" c="var(--bad)" mt={10} role="alert" style={{ overflowWrap: "anywhere" }}>
          {run.flaw}
        </Text>
      )}
    </Panel>
  );
}

/** Each kind of value that the trait has, in a panel of its own. */
function Spread({ trait }: { trait: TraitValues }) {
  const { t } = useTranslation();
  const { numbers, values, periods, elements } = trait;
  if (trait.having === 0) {
    return (
      <Panel title={t("trait.distribution")}>
        <Empty icon={<IconMathFunction size={22} />} title={t("trait.nobody")}>
          {t("trait.nobodyRemedy")}
        </Empty>
      </Panel>
    );
  }
  const yearly = periods?.[0]?.period.length === 4;
  return (
    <div className="split">
      {numbers && (
        <Panel title={t("trait.distribution")}>
          <Histogram numbers={numbers} />
        </Panel>
      )}
      {periods && (
        <Panel title={t("trait.periods", { period: t(yearly ? "trait.year" : "trait.month") })}>
          <Bars
            label={t("trait.periods", { period: t(yearly ? "trait.year" : "trait.month") })}
            rows={periods.map(({ period, count }) => ({ value: period, count }))}
          />
        </Panel>
      )}
      {values && (
        <Panel title={t("trait.values")}>
          <Bars label={t("trait.values")} rows={values.frequent} distinct={values.distinct} />
        </Panel>
      )}
      {elements && (
        <Panel title={t("trait.elements")}>
          <Bars label={t("trait.elements")} rows={elements.frequent} distinct={elements.distinct} />
        </Panel>
      )}
    </div>
  );
}
