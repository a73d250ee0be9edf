import { Button, Group, Modal, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api } from "../api/client";
import { messageQuery } from "../api/queries";
import type { Message } from "../api/types";
import { dateTime, title } from "../format";
import { Copy, Facts } from "../parts/Bits";
import { MessageStatus } from "../parts/MessageStatus";
import { Page, Panel } from "../parts/Page";
import { explain, Loaded, Notice } from "../parts/States";
import { Timeline } from "../parts/Timeline";

export function MessagePage() {
  const { t } = useTranslation();
  const { id } = useParams({ from: "/shell/messages/$id" });
  const query = useQuery(messageQuery(id));
  const message = query.data;
  return (
    <Page
      title={message?.subject ?? t("message.title")}
      about={message && (message.to ? t("message.to", { to: message.to }) : t("messages.noAddress"))}
      back={{ to: "/messages", label: t("messages.title") }}
      actions={message && <MessageStatus status={message.status} />}
    >
      {message ? (
        <div className="split">
          {message.status === "unknown" && <Doubt message={message} />}
          {message.status === "refused" && message.reason && (
            <Notice tone="bad" title={t("message.refused")}>
              {message.reason}
            </Notice>
          )}
          <div className="split wideLeft">
            <Panel title={t("message.attempts")}>
              {message.attempts.length === 0 ? (
                <Text size="sm" c="dimmed">
                  {t("message.notTried")}
                </Text>
              ) : (
                <Timeline
                  rows={message.attempts
                    .map(({ at, outcome, detail }) => ({
                      key: at,
                      title: title(outcome),
                      note: detail,
                      at,
                      tone:
                        outcome === "sent"
                          ? "var(--good)"
                          : outcome === "unknown"
                            ? "var(--warn)"
                            : "var(--bad)",
                    }))
                    .toReversed()}
                />
              )}
            </Panel>
            <Panel title={t("message.facts")}>
              <Facts
                facts={[
                  [t("messages.to"), message.to || t("messages.noAddress")],
                  [
                    t("message.person"),
                    message.profile ? (
                      <Link
                        key="profile"
                        to="/profiles/$id"
                        params={{ id: message.profile }}
                        style={{ color: "var(--accent)" }}
                      >
                        {t("events.toProfile")}
                      </Link>
                    ) : (
                      "–"
                    ),
                  ],
                  [t("messages.campaign"), message.campaign ?? t("message.noCampaign")],
                  [t("message.template"), message.template],
                  [t("message.created"), dateTime(message.created_at)],
                  [t("message.sent"), message.sent_at ? dateTime(message.sent_at) : "–"],
                  [
                    t("message.messageId"),
                    <Group key="id" gap={4} wrap="nowrap">
                      <span className="mono truncate" title={message.message_id}>
                        {message.message_id}
                      </span>
                      <Copy text={message.message_id} label={t("message.copyId")} />
                    </Group>,
                  ],
                ]}
              />
            </Panel>
          </div>
        </div>
      ) : (
        <Panel>
          <Loaded query={query}>{() => null}</Loaded>
        </Panel>
      )}
    </Page>
  );
}

/** The person decides what nobody can know: whether the mail went out. */
function Doubt({ message }: { message: Message }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [asking, setAsking] = useState<"sent" | "resend" | null>(null);
  const resolve = useMutation({
    mutationFn: (as: "sent" | "resend") =>
      answer(api.POST("/v1/messages/{id}/resolve", { params: { path: { id: message.id } }, body: { as } })),
    onSuccess: async () => {
      setAsking(null);
      await queries.invalidateQueries({ queryKey: ["messages"] });
    },
    onError: (error) => {
      const { detail, remedy } = explain(error);
      notifications.show({ title: detail, message: remedy, color: "red", autoClose: false });
    },
  });
  return (
    <>
      <Notice tone="warn" title={t("message.doubt")}>
        {message.reason ?? t("message.doubtReason")} {t("message.doubtAbout")}
        <Group gap="xs" mt={10}>
          <Button size="xs" onClick={() => setAsking("sent")}>
            {t("message.asSent")}
          </Button>
          <Button size="xs" onClick={() => setAsking("resend")}>
            {t("message.resend")}
          </Button>
        </Group>
      </Notice>
      <Modal
        opened={asking !== null}
        onClose={() => setAsking(null)}
        title={asking && t(asking === "sent" ? "message.sureSent" : "message.sureResend")}
        closeButtonProps={{ "aria-label": t("action.close") }}
        centered
      >
        <Text size="sm">
          {asking &&
            t(asking === "sent" ? "message.sureSentAbout" : "message.sureResendAbout", { to: message.to })}
        </Text>
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button onClick={() => setAsking(null)} data-autofocus>
            {t("action.cancel")}
          </Button>
          <Button
            variant="filled"
            color={asking === "resend" ? "red" : undefined}
            loading={resolve.isPending}
            onClick={() => asking && resolve.mutate(asking)}
          >
            {t(asking === "resend" ? "message.resend" : "message.asSent")}
          </Button>
        </Group>
      </Modal>
    </>
  );
}
