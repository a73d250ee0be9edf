import { Text } from "@mantine/core";
import { IconInbox, IconInboxOff } from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { inboxQuery } from "../api/queries";
import { count } from "../format";
import { SearchField, When } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { Rows } from "../parts/Rows";
import { Empty, explain, Loaded, More } from "../parts/States";

export function Inbox() {
  const { t } = useTranslation();
  const navigate = useNavigate({ from: "/inbox" });
  const { q = "" } = useSearch({ from: "/shell/inbox" });
  const query = useInfiniteQuery(inboxQuery(q));
  const latest = query.data?.pages.at(-1);
  const none = query.error instanceof ApiError && query.error.status === 404;
  return (
    <Page
      title={t("inbox.title")}
      about={
        latest
          ? t("inbox.counts", { total: count(latest.total), distinct: count(latest.distinct) })
          : t("inbox.about")
      }
    >
      <Panel label={t("inbox.title")} flush>
        {none ? (
          <Empty icon={<IconInboxOff size={22} />} title={explain(query.error).detail}>
            {explain(query.error).remedy}
          </Empty>
        ) : (
          <>
            <div className="toolbar">
              <SearchField
                value={q}
                onChange={(text) => navigate({ search: { q: text || undefined }, replace: true })}
                label={t("inbox.search")}
                placeholder={t("inbox.searchHint")}
              />
            </div>
            <Loaded query={query} lines={8}>
              {({ pages }) => {
                const mails = pages.flatMap((page) => page.messages);
                return mails.length === 0 ? (
                  <Empty
                    icon={<IconInbox size={22} />}
                    title={q ? t("list.noMatch", { q }) : t("inbox.none")}
                  >
                    {q ? t("list.noMatchRemedy") : t("inbox.noneRemedy")}
                  </Empty>
                ) : (
                  <>
                    <Rows
                      label={t("inbox.title")}
                      linked
                      rows={mails}
                      rowKey={({ id }) => id}
                      columns={[
                        {
                          name: t("inbox.to"),
                          wide: true,
                          width: "26%",
                          cell: (mail) => mail.to.join(", "),
                        },
                        {
                          name: t("inbox.mail"),
                          main: true,
                          cell: (mail) => (
                            <>
                              <Text size="xs" c="dimmed" className="phoneOnly">
                                {mail.to.join(", ")}
                              </Text>
                              <Link to="/inbox/$id" params={{ id: mail.id }} className="rowLink">
                                {mail.subject || t("inbox.noSubject")}
                              </Link>
                              <Text size="xs" c="dimmed" lineClamp={1}>
                                {mail.preview}
                              </Text>
                            </>
                          ),
                        },
                        {
                          name: t("inbox.received"),
                          number: true,
                          width: 120,
                          cell: (mail) => <When at={mail.received_at} />,
                        },
                      ]}
                    />
                    <More shown={mails.length} total={q ? undefined : latest?.total} query={query} />
                  </>
                );
              }}
            </Loaded>
          </>
        )}
      </Panel>
    </Page>
  );
}
