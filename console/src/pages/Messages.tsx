import { SegmentedControl, Select, Tabs, Text } from "@mantine/core";
import { IconMail, IconSpeakerphone } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { campaignsQuery, messagesQuery } from "../api/queries";
import type { Message } from "../api/types";
import { count } from "../format";
import { SearchField, When } from "../parts/Bits";
import { MessageStatus } from "../parts/MessageStatus";
import { Page } from "../parts/Page";
import { Rows } from "../parts/Rows";
import { Empty, Loaded, More } from "../parts/States";

const STATUSES: Message["status"][] = ["queued", "waiting", "sending", "sent", "refused", "unknown"];

export function Messages() {
  const { t } = useTranslation();
  const { tab = "messages" } = useSearch({ from: "/shell/messages" });
  const navigate = useNavigate({ from: "/messages" });
  return (
    <Page title={t("messages.title")} about={t("messages.about")}>
      <section className="panel" aria-label={t("messages.title")}>
        <Tabs
          value={tab}
          keepMounted={false}
          onChange={(next) =>
            void navigate({ search: { tab: next === "campaigns" ? next : undefined }, replace: true })
          }
        >
          <Tabs.List className="tabs">
            <Tabs.Tab value="messages">{t("messages.list")}</Tabs.Tab>
            <Tabs.Tab value="campaigns">{t("campaigns.title")}</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="messages">
            <List />
          </Tabs.Panel>
          <Tabs.Panel value="campaigns">
            <Campaigns />
          </Tabs.Panel>
        </Tabs>
      </section>
    </Page>
  );
}

function List() {
  const { t } = useTranslation();
  const { status, q = "" } = useSearch({ from: "/shell/messages" });
  const navigate = useNavigate({ from: "/messages" });
  const query = useInfiniteQuery(messagesQuery(status, q));
  const set = (change: { status?: Message["status"]; q?: string }) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const choices = [
    { value: "", label: t("messages.all") },
    ...STATUSES.map((value) => ({ value: value as string, label: t(`messages.status.${value}`) })),
  ];
  const choose = (value: string | null) => set({ status: STATUSES.find((one) => one === value) });
  return (
    <>
      <div className="toolbar">
        <SearchField
          value={q}
          onChange={(text) => set({ q: text || undefined })}
          label={t("messages.search")}
          placeholder={t("messages.searchHint")}
        />
        <SegmentedControl
          className="phoneHide"
          size="xs"
          aria-label={t("messages.filter")}
          data={choices}
          value={status ?? ""}
          onChange={choose}
        />
        <Select
          className="phoneOnly"
          aria-label={t("messages.filter")}
          data={choices}
          value={status ?? ""}
          onChange={choose}
          allowDeselect={false}
          w="100%"
        />
      </div>
      <Loaded query={query} lines={8}>
        {({ pages }) => {
          const messages = pages.flatMap((page) => page.messages);
          return messages.length === 0 ? (
            <Empty
              icon={<IconMail size={22} />}
              title={t(status || q ? "messages.noMatch" : "messages.none")}
              code={status || q ? undefined : t("messages.example")}
            >
              {t(status || q ? "messages.noMatchRemedy" : "messages.noneRemedy")}
            </Empty>
          ) : (
            <>
              <Rows
                label={t("messages.title")}
                linked
                rows={messages}
                rowKey={({ id }) => id}
                columns={[
                  {
                    name: t("messages.to"),
                    width: "34%",
                    cell: (message) => (
                      <>
                        <Link to="/messages/$id" params={{ id: message.id }} className="rowLink">
                          {message.to || t("messages.noAddress")}
                        </Link>
                        <Text size="xs" c="dimmed">
                          {message.subject ?? t("messages.noSubject")}
                          <span className="phoneOnly">
                            <When at={message.sent_at ?? message.created_at} />
                          </span>
                        </Text>
                      </>
                    ),
                  },
                  {
                    name: t("messages.statusTitle"),
                    cell: (message) => <MessageStatus status={message.status} />,
                  },
                  {
                    name: t("messages.campaign"),
                    wide: true,
                    cell: (message) => message.campaign ?? message.template,
                  },
                  {
                    name: t("messages.attempts"),
                    number: true,
                    wide: true,
                    cell: (message) => count(message.attempts.length),
                  },
                  {
                    name: t("messages.created"),
                    number: true,
                    wide: true,
                    cell: (message) => <When at={message.sent_at ?? message.created_at} />,
                  },
                ]}
              />
              <More shown={messages.length} query={query} />
            </>
          );
        }}
      </Loaded>
    </>
  );
}

function Campaigns() {
  const { t } = useTranslation();
  const query = useQuery(campaignsQuery);
  return (
    <Loaded query={query}>
      {({ campaigns }) =>
        campaigns.length === 0 ? (
          <Empty
            icon={<IconSpeakerphone size={22} />}
            title={t("campaigns.none")}
            code={t("campaigns.example")}
          >
            {t("campaigns.noneRemedy")}
          </Empty>
        ) : (
          <Rows
            label={t("campaigns.title")}
            rows={campaigns}
            rowKey={({ name }) => name}
            columns={[
              {
                name: t("campaigns.name"),
                cell: (campaign) => (
                  <>
                    <b style={{ fontWeight: 550 }}>{campaign.name}</b>
                    <Text size="xs" c="dimmed">
                      {t("campaigns.says", { trigger: campaign.trigger, template: campaign.template })}
                    </Text>
                  </>
                ),
              },
              { name: t("messages.status.sent"), number: true, cell: ({ sent }) => count(sent) },
              {
                name: t("messages.status.queued"),
                number: true,
                wide: true,
                cell: ({ queued, sending }) => count(queued + sending),
              },
              {
                name: t("messages.status.waiting"),
                number: true,
                wide: true,
                cell: ({ waiting }) => count(waiting),
              },
              {
                name: t("messages.status.refused"),
                number: true,
                wide: true,
                cell: ({ refused }) => count(refused),
              },
              {
                name: t("messages.status.unknown"),
                number: true,
                cell: ({ unknown }) => (
                  <span style={{ color: unknown ? "var(--warn)" : undefined }}>{count(unknown)}</span>
                ),
              },
            ]}
          />
        )
      }
    </Loaded>
  );
}
