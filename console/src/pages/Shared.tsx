import { Text } from "@mantine/core";
import { IconUserOff } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { setAsideQuery } from "../api/queries";
import { count } from "../format";
import { When } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { Rows } from "../parts/Rows";
import { Empty, Loaded } from "../parts/States";

export function Shared() {
  const { t } = useTranslation();
  const query = useQuery(setAsideQuery);
  return (
    <Page title={t("shared.title")} about={t("shared.about")}>
      <Panel label={t("shared.title")} flush>
        <Loaded query={query}>
          {({ identifiers }) =>
            identifiers.length === 0 ? (
              <Empty icon={<IconUserOff size={22} />} title={t("shared.none")}>
                {t("shared.noneRemedy")}
              </Empty>
            ) : (
              <Rows
                label={t("shared.title")}
                rows={identifiers}
                rowKey={({ kind, value }) => `${kind}:${value}`}
                columns={[
                  {
                    name: t("shared.identifier"),
                    cell: ({ kind, value }) => (
                      <>
                        {value}
                        <Text size="xs" c="dimmed">
                          {kind}
                        </Text>
                      </>
                    ),
                  },
                  {
                    name: t("shared.profiles"),
                    number: true,
                    width: 110,
                    cell: (one) => count(one.profiles),
                  },
                  { name: t("shared.since"), width: 140, cell: ({ at }) => <When at={at} /> },
                ]}
              />
            )
          }
        </Loaded>
      </Panel>
    </Page>
  );
}
