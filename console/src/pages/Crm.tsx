import { Text } from "@mantine/core";
import { IconPlugConnected } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { connectionsQuery } from "../api/queries";
import { count } from "../format";
import { When } from "../parts/Bits";
import { ConnectionStatus } from "../parts/ConnectionStatus";
import { Page, Panel } from "../parts/Page";
import { Rows } from "../parts/Rows";
import { Empty, Loaded } from "../parts/States";

export function Crm() {
  const { t } = useTranslation();
  const query = useQuery(connectionsQuery);
  return (
    <Page title={t("crm.title")} about={t("crm.about")}>
      <Panel label={t("crm.title")} flush>
        <Loaded query={query}>
          {({ connections }) =>
            connections.length === 0 ? (
              <Empty icon={<IconPlugConnected size={22} />} title={t("crm.none")} code={t("crm.example")}>
                {t("crm.noneRemedy")}
              </Empty>
            ) : (
              <Rows
                label={t("crm.title")}
                linked
                rows={connections}
                rowKey={({ name }) => name}
                columns={[
                  {
                    name: t("crm.connection"),
                    width: "38%",
                    cell: (connection) => (
                      <>
                        <Link to="/crm/$name" params={{ name: connection.name }} className="rowLink">
                          {connection.name}
                        </Link>
                        <Text size="xs" c="dimmed">
                          {connection.reason ?? connection.crm}
                        </Text>
                      </>
                    ),
                  },
                  {
                    name: t("crm.stateTitle"),
                    cell: (connection) => <ConnectionStatus state={connection.state} />,
                  },
                  {
                    name: t("crm.records"),
                    number: true,
                    wide: true,
                    cell: (connection) => count(connection.records),
                  },
                  {
                    name: t("crm.waiting"),
                    number: true,
                    wide: true,
                    cell: (connection) => count(connection.waiting),
                  },
                  {
                    name: t("crm.dead"),
                    number: true,
                    cell: (connection) => (
                      <span style={{ color: connection.dead ? "var(--bad)" : undefined }}>
                        {count(connection.dead)}
                      </span>
                    ),
                  },
                  {
                    name: t("crm.lastSuccess"),
                    number: true,
                    wide: true,
                    cell: (connection) =>
                      connection.last_success_at ? <When at={connection.last_success_at} /> : "–",
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
