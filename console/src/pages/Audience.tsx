import { Button, Text } from "@mantine/core";
import { IconCopy, IconUsersGroup } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { audiencesQuery, membersQuery } from "../api/queries";
import { count, title } from "../format";
import { When } from "../parts/Bits";
import { ConditionTree } from "../parts/ConditionTree";
import { Page, Panel } from "../parts/Page";
import { displayName } from "../parts/people";
import { Rows } from "../parts/Rows";
import { Empty, Loaded, More } from "../parts/States";

export function AudiencePage() {
  const { t } = useTranslation();
  const { name } = useParams({ from: "/shell/audiences/$name" });
  const audiences = useQuery(audiencesQuery);
  const members = useInfiniteQuery(membersQuery(name));
  const audience = audiences.data?.audiences.find((one) => one.name === name);
  const total = members.data?.pages.at(-1)?.total ?? audience?.members;
  return (
    <Page
      title={title(name)}
      about={audience?.description ?? t("audience.about")}
      back={{ to: "/audiences", label: t("audiences.title") }}
      actions={
        audience && (
          <Button
            leftSection={<IconCopy size={16} aria-hidden />}
            renderRoot={(props) => <Link to="/audiences/new" search={{ from: name }} {...props} />}
          >
            {t("audience.copy")}
          </Button>
        )
      }
    >
      <div className="split wideLeft">
        <Panel title={t("audience.members")} aside={<b>{count(total)}</b>} flush>
          <Loaded query={members} lines={8}>
            {({ pages }) => {
              const people = pages.flatMap((page) => page.members);
              return people.length === 0 ? (
                <Empty icon={<IconUsersGroup size={22} />} title={t("audience.nobody")}>
                  {t("audience.nobodyRemedy")}
                </Empty>
              ) : (
                <>
                  <Rows
                    label={t("audience.members")}
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
                        name: t("audience.since"),
                        number: true,
                        cell: (person) => <When at={person.since} />,
                      },
                      {
                        name: t("audience.number"),
                        number: true,
                        wide: true,
                        width: 90,
                        cell: (person) => `${count(person.number)}×`,
                      },
                    ]}
                  />
                  <More shown={people.length} total={total} query={members} />
                </>
              );
            }}
          </Loaded>
        </Panel>
        <Panel title={t("audiences.condition")}>
          <Loaded query={audiences} lines={3}>
            {() =>
              audience ? (
                <ConditionTree condition={audience.condition} />
              ) : (
                <Text size="sm" c="dimmed">
                  {t("audience.undefined")}
                </Text>
              )
            }
          </Loaded>
        </Panel>
      </div>
    </Page>
  );
}
