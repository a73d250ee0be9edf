import { Text } from "@mantine/core";
import { IconMathFunction } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { traitsQuery } from "../api/queries";
import { count, share, title } from "../format";
import { Words } from "../parts/ConditionTree";
import { Page, Panel } from "../parts/Page";
import { Rows } from "../parts/Rows";
import { Empty, Loaded } from "../parts/States";
import { TraitNewest, TraitSpread } from "../parts/TraitSpread";
import { traitTokens } from "../parts/traitWords";

export function Traits() {
  const { t } = useTranslation();
  const query = useQuery(traitsQuery);
  return (
    <Page title={t("traits.title")} about={t("traits.about")}>
      <Panel label={t("traits.title")} flush>
        <Loaded query={query}>
          {({ traits, everybody, looked_at }) =>
            traits.length === 0 ? (
              <Empty
                icon={<IconMathFunction size={22} />}
                title={t("traits.none")}
                code={t("traits.example")}
              >
                {t("traits.noneRemedy")}
              </Empty>
            ) : (
              <>
                <Rows
                  label={t("traits.title")}
                  linked
                  rows={traits}
                  rowKey={({ name }) => name}
                  columns={[
                    {
                      name: t("traits.name"),
                      width: "26%",
                      cell: (trait) => (
                        <>
                          <Link to="/traits/$name" params={{ name: trait.name }} className="rowLink">
                            {title(trait.name)}
                          </Link>
                          {trait.description && (
                            <Text size="xs" c="dimmed">
                              {trait.description}
                            </Text>
                          )}
                        </>
                      ),
                    },
                    {
                      name: t("traits.definition"),
                      wide: true,
                      cell: (trait) => (
                        <Text size="sm" component="div" lineClamp={2}>
                          <Words of={traitTokens(trait.spec, t)} />
                        </Text>
                      ),
                    },
                    {
                      name: t("traits.spread"),
                      wide: true,
                      width: 210,
                      cell: ({ name }) => <TraitSpread name={name} />,
                    },
                    {
                      name: t("traits.newest"),
                      wide: true,
                      width: 130,
                      cell: ({ name }) => <TraitNewest name={name} />,
                    },
                    {
                      name: t("traits.having"),
                      number: true,
                      width: 130,
                      cell: ({ having }) => (
                        <span title={share(having, looked_at)}>
                          <b style={{ fontWeight: 600 }}>
                            {looked_at < everybody ? share(having, looked_at) : count(having)}
                          </b>
                        </span>
                      ),
                    },
                  ]}
                />
                {looked_at < everybody && (
                  <Text size="xs" c="dimmed" p="md">
                    {t("traits.sampled", { looked: count(looked_at), everybody: count(everybody) })}
                  </Text>
                )}
              </>
            )
          }
        </Loaded>
      </Panel>
    </Page>
  );
}
