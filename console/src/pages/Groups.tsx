import { Text } from "@mantine/core";
import { IconBuilding, IconZoomQuestion } from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { groupsQuery } from "../api/queries";
import { SearchField, When } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { Rows } from "../parts/Rows";
import { Empty, Loaded, More } from "../parts/States";

export function Groups() {
  const { t } = useTranslation();
  const navigate = useNavigate({ from: "/groups" });
  const { q = "" } = useSearch({ from: "/shell/groups" });
  const query = useInfiniteQuery(groupsQuery(q));
  return (
    <Page title={t("groups.title")} about={t("groups.about")}>
      <Panel label={t("groups.title")} flush>
        <div className="toolbar">
          <SearchField
            value={q}
            onChange={(text) => navigate({ search: { q: text || undefined }, replace: true })}
            label={t("groups.search")}
            placeholder={t("groups.searchHint")}
          />
        </div>
        <Loaded query={query} lines={8}>
          {({ pages }) => {
            const groups = pages.flatMap((page) => page.groups);
            if (groups.length === 0) {
              return q ? (
                <Empty icon={<IconZoomQuestion size={22} />} title={t("groups.noMatch", { q })}>
                  {t("groups.noMatchRemedy")}
                </Empty>
              ) : (
                <Empty icon={<IconBuilding size={22} />} title={t("groups.none")} code={t("groups.example")}>
                  {t("groups.noneRemedy")}
                </Empty>
              );
            }
            return (
              <>
                <Rows
                  label={t("groups.title")}
                  linked
                  rows={groups}
                  rowKey={({ id }) => id}
                  columns={[
                    {
                      name: t("groups.group"),
                      cell: ({ id, name }) => (
                        <>
                          <Link to="/groups/$id" params={{ id }} className="rowLink anywhere">
                            {name ?? id}
                          </Link>
                          {name !== null && name !== id && (
                            <Text size="xs" c="dimmed" className="anywhere">
                              {id}
                            </Text>
                          )}
                        </>
                      ),
                    },
                    {
                      name: t("groups.firstSeen"),
                      number: true,
                      wide: true,
                      width: 150,
                      cell: (group) => <When at={group.first_seen} />,
                    },
                    {
                      name: t("groups.changed"),
                      number: true,
                      width: 130,
                      cell: (group) => <When at={group.changed_at} />,
                    },
                  ]}
                />
                <More shown={groups.length} query={query} />
              </>
            );
          }}
        </Loaded>
      </Panel>
    </Page>
  );
}
