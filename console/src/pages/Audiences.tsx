import { Button, Text } from "@mantine/core";
import { IconPlus, IconUsersGroup } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { audiencesQuery } from "../api/queries";
import { count, title } from "../format";
import { useConditionText } from "../parts/ConditionTree";
import { Page, Panel } from "../parts/Page";
import { Rows } from "../parts/Rows";
import { Empty, Loaded } from "../parts/States";

export function Audiences() {
  const { t } = useTranslation();
  const query = useQuery(audiencesQuery);
  const say = useConditionText();
  return (
    <Page
      title={t("audiences.title")}
      about={t("audiences.about")}
      actions={
        <Button
          leftSection={<IconPlus size={16} aria-hidden />}
          renderRoot={(props) => <Link to="/audiences/new" {...props} />}
        >
          {t("audiences.build")}
        </Button>
      }
    >
      <Panel label={t("audiences.title")} flush>
        <Loaded query={query}>
          {({ audiences }) =>
            audiences.length === 0 ? (
              <Empty
                icon={<IconUsersGroup size={22} />}
                title={t("audiences.none")}
                code={t("audiences.example")}
              >
                {t("audiences.noneRemedy")}
              </Empty>
            ) : (
              <Rows
                label={t("audiences.title")}
                linked
                rows={audiences}
                rowKey={({ name }) => name}
                columns={[
                  {
                    name: t("audiences.name"),
                    width: "42%",
                    cell: (audience) => (
                      <>
                        <Link to="/audiences/$name" params={{ name: audience.name }} className="rowLink">
                          {title(audience.name)}
                        </Link>
                        {audience.description && (
                          <Text size="xs" c="dimmed">
                            {audience.description}
                          </Text>
                        )}
                      </>
                    ),
                  },
                  {
                    name: t("audiences.condition"),
                    wide: true,
                    cell: (audience) => (
                      <Text size="sm" c="dimmed" lineClamp={2}>
                        {say(audience.condition)}
                      </Text>
                    ),
                  },
                  {
                    name: t("audiences.members"),
                    number: true,
                    width: 110,
                    cell: (audience) => <b style={{ fontWeight: 600 }}>{count(audience.members)}</b>,
                  },
                ]}
              />
            )
          }
        </Loaded>
      </Panel>
    </Page>
  );
}
