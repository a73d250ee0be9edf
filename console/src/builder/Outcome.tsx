// What a condition would hold for: how many, some of them, and who is in other audiences too.
import { Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Preview } from "../api/types";
import { count, share, words } from "../format";
import { Panel } from "../parts/Page";
import { displayName } from "../parts/people";
import { explain, Loading } from "../parts/States";

export function Reached(props: { found: Preview | undefined; fresh: boolean; error: unknown }) {
  const { t } = useTranslation();
  const { found, fresh } = props;
  const failed = props.error && fresh && !found;
  return (
    <Panel label={t("builder.reach")} flush>
      <div className="builderReach" data-stale={(!fresh && found !== undefined) || undefined}>
        <div className="figureLabel">{t("builder.reach")}</div>
        <div className="figureValue" role="status" aria-live="polite">
          {found === undefined ? "–" : count(found.count)}
        </div>
        {found !== undefined ? (
          <>
            <Text size="sm" c="dimmed">
              {t("builder.share", { percent: share(found.count, found.people), people: count(found.people) })}
            </Text>
            <div className="bar" aria-hidden>
              {found.count > 0 && <i style={{ width: `${(100 * found.count) / found.people}%` }} />}
            </div>
          </>
        ) : (
          <Text size="sm" c="dimmed">
            {t(failed ? "builder.notCounted" : "builder.nothingYet")}
          </Text>
        )}
      </div>
    </Panel>
  );
}

export function Sample({ found, fresh }: { found: Preview | undefined; fresh: boolean }) {
  const { t } = useTranslation();
  if (found === undefined) return null;
  return (
    <Panel title={t("builder.sample")}>
      {found.sample.length === 0 ? (
        <Text size="sm" c="dimmed">
          {t("builder.nobody")}
        </Text>
      ) : (
        <ul className="plainList" data-stale={!fresh || undefined}>
          {found.sample.map((person) => (
            <li key={person.id}>
              <Link to="/profiles/$id" params={{ id: person.id }} className="chip">
                <span>{displayName(person)}</span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

export function Overlaps(props: {
  found: Preview | undefined;
  fresh: boolean;
  waiting: boolean;
  error: unknown;
}) {
  const { t } = useTranslation();
  const { found } = props;
  if (found === undefined && !props.waiting) return null;
  return (
    <Panel title={t("builder.overlaps")}>
      {found === undefined ? (
        props.error ? (
          <Text size="sm" c="dimmed">
            {explain(props.error).detail}
          </Text>
        ) : (
          <Loading lines={3} />
        )
      ) : found.overlaps.length === 0 ? (
        <Text size="sm" c="dimmed">
          {t("audiences.none")}
        </Text>
      ) : (
        <dl className="facts spread" data-stale={!props.fresh || undefined}>
          {found.overlaps.map(({ audience, both, members }) => (
            <div key={audience}>
              <dt>
                <Link to="/audiences/$name" params={{ name: audience }} className="chip">
                  {words(audience)}
                </Link>
              </dt>
              <dd title={t("builder.overlap", { both: count(both), members: count(members) })}>
                {count(both)} <span className="dim">/ {count(members)}</span>
              </dd>
            </div>
          ))}
        </dl>
      )}
    </Panel>
  );
}
