import { Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Profile } from "../api/types";
import { When } from "./Bits";
import { Panel } from "./Page";

/** The groups that a person is a member of, and since when. */
export function InGroups({ profile }: { profile: Profile }) {
  const { t } = useTranslation();
  return (
    <Panel title={t("groups.title")}>
      {profile.groups.length === 0 ? (
        <Text c="dimmed" size="sm">
          {t("profile.noGroups")}
        </Text>
      ) : (
        <dl className="facts spread">
          {profile.groups.map(({ id, since, event }) => (
            <div key={id} title={t("attributes.event", { event })}>
              <dt className="anywhere">
                <Link to="/groups/$id" params={{ id }} className="chip">
                  {id}
                </Link>
              </dt>
              <dd style={{ color: "var(--mantine-color-dimmed)", fontWeight: 400 }}>
                <When at={since} />
              </dd>
            </div>
          ))}
        </dl>
      )}
    </Panel>
  );
}
