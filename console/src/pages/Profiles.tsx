import { Avatar, Group, Text } from "@mantine/core";
import { IconAddressBook, IconUserSearch } from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { profilesQuery } from "../api/queries";
import { IdentifierChip, SearchField, When } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { displayName } from "../parts/people";
import { Rows } from "../parts/Rows";
import { Empty, Loaded, More } from "../parts/States";

export function Profiles() {
  const { t } = useTranslation();
  const navigate = useNavigate({ from: "/profiles" });
  const { q = "" } = useSearch({ from: "/shell/profiles" });
  const query = useInfiniteQuery(profilesQuery(q));
  return (
    <Page title={t("profiles.title")} about={t("profiles.about")}>
      <Panel label={t("profiles.title")} flush>
        <div className="toolbar">
          <SearchField
            value={q}
            onChange={(text) => navigate({ search: { q: text || undefined }, replace: true })}
            label={t("profiles.search")}
            placeholder={t("profiles.searchHint")}
          />
        </div>
        <Loaded query={query} lines={8}>
          {({ pages }) => {
            const people = pages.flatMap(({ profiles }) => profiles);
            if (people.length === 0) {
              return q ? (
                <Empty icon={<IconUserSearch size={22} />} title={t("profiles.noMatch", { q })}>
                  {t("profiles.noMatchRemedy")}
                </Empty>
              ) : (
                <Empty icon={<IconAddressBook size={22} />} title={t("profiles.none")}>
                  {t("profiles.noneRemedy")}
                </Empty>
              );
            }
            return (
              <>
                <Rows
                  label={t("profiles.title")}
                  linked
                  rows={people}
                  rowKey={({ id }) => id}
                  columns={[
                    {
                      name: t("profiles.person"),
                      width: "34%",
                      cell: (person) => (
                        <Group gap={12} wrap="nowrap">
                          <Avatar
                            name={displayName(person)}
                            color="verdigris"
                            size={32}
                            radius="xl"
                            alt=""
                            aria-hidden
                          />
                          <div style={{ minWidth: 0 }}>
                            <Link to="/profiles/$id" params={{ id: person.id }} className="rowLink">
                              {displayName(person)}
                            </Link>
                            {person.email && person.email !== displayName(person) && (
                              <Text size="xs" c="dimmed">
                                {person.email}
                              </Text>
                            )}
                          </div>
                        </Group>
                      ),
                    },
                    {
                      name: t("profiles.identifiers"),
                      wide: true,
                      cell: (person) => (
                        <Group gap={6}>
                          {person.identifiers
                            .filter(({ value }) => value !== person.email)
                            .slice(0, 2)
                            .map(({ kind, value }) => (
                              <IdentifierChip key={`${kind}:${value}`} kind={kind} value={value} />
                            ))}
                        </Group>
                      ),
                    },
                    {
                      name: t("profiles.changed"),
                      number: true,
                      width: 130,
                      cell: (person) => <When at={person.changed_at} />,
                    },
                  ]}
                />
                <More shown={people.length} query={query} />
              </>
            );
          }}
        </Loaded>
      </Panel>
    </Page>
  );
}
