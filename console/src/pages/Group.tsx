import { Group, Text } from "@mantine/core";
import { IconBuilding, IconUsersGroup } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { groupMembersQuery, groupQuery } from "../api/queries";
import { count, dateTime } from "../format";
import { Attributes } from "../parts/Attributes";
import { Copy, Facts, When } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { displayName } from "../parts/people";
import { Rows } from "../parts/Rows";
import { Empty, Loaded, More } from "../parts/States";

export function GroupPage() {
  const { t } = useTranslation();
  const { id } = useParams({ from: "/shell/groups/$id" });
  const query = useQuery(groupQuery(id));
  const missing = query.error instanceof ApiError && query.error.status === 404 && !query.data;
  return (
    <Page
      title={missing ? t("group.missing") : (query.data?.name ?? id)}
      about={t("group.title")}
      back={{ to: "/groups", label: t("groups.title") }}
    >
      {missing ? (
        <Panel>
          <Empty icon={<IconBuilding size={22} />} title={t("group.unknown", { id })}>
            {t("group.unknownRemedy")}
          </Empty>
        </Panel>
      ) : (
        <div className="split wideLeft">
          <div className="split">
            <Panel title={t("group.attributes")} flush>
              <Loaded query={query} lines={5}>
                {({ attributes }) => <Attributes attributes={attributes} none={t("group.noAttributes")} />}
              </Loaded>
            </Panel>
            <Members id={id} />
          </div>
          <Panel title={t("group.facts")}>
            <Loaded query={query} lines={4}>
              {(group) => (
                <Facts
                  facts={[
                    [t("group.members"), count(group.members)],
                    [t("groups.firstSeen"), dateTime(group.first_seen)],
                    [t("groups.changed"), <When key="when" at={group.changed_at} />],
                    [
                      t("group.id"),
                      <Group key="id" gap={4} wrap="nowrap">
                        <span className="mono truncate">{group.id}</span>
                        <Copy text={group.id} label={t("group.copyId")} />
                      </Group>,
                    ],
                  ]}
                />
              )}
            </Loaded>
          </Panel>
        </div>
      )}
    </Page>
  );
}

function Members({ id }: { id: string }) {
  const { t } = useTranslation();
  const query = useInfiniteQuery(groupMembersQuery(id));
  const total = query.data?.pages.at(-1)?.total;
  return (
    <Panel title={t("group.members")} aside={<b>{count(total)}</b>} flush>
      <Loaded query={query} lines={8}>
        {({ pages }) => {
          const people = pages.flatMap((page) => page.members);
          return people.length === 0 ? (
            <Empty icon={<IconUsersGroup size={22} />} title={t("group.nobody")}>
              {t("group.nobodyRemedy")}
            </Empty>
          ) : (
            <>
              <Rows
                label={t("group.members")}
                linked
                rows={people}
                rowKey={({ profile }) => profile}
                columns={[
                  {
                    name: t("profiles.person"),
                    cell: (person) => (
                      <>
                        <Link to="/profiles/$id" params={{ id: person.profile }} className="rowLink">
                          {displayName(person)}
                        </Link>
                        {person.email && person.email !== displayName(person) && (
                          <Text size="xs" c="dimmed">
                            {person.email}
                          </Text>
                        )}
                      </>
                    ),
                  },
                  {
                    name: t("group.since"),
                    number: true,
                    cell: (person) => <When at={person.since} />,
                  },
                ]}
              />
              <More shown={people.length} total={total} query={query} />
            </>
          );
        }}
      </Loaded>
    </Panel>
  );
}
