import { Tabs, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { mailQuery } from "../api/queries";
import type { Mail } from "../api/types";
import { bytes, dateTime } from "../format";
import { Facts } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { Rows } from "../parts/Rows";
import { Loaded } from "../parts/States";

// A mail is hostile input. The sandbox takes scripts, forms and popups (so a link, meant for a new tab, does nothing);
// the policy takes whatever it would load.
const NOTHING_LOADED = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
const frame = (html: string) =>
  `<!doctype html><meta http-equiv="Content-Security-Policy" content="${NOTHING_LOADED}"><meta name="color-scheme" content="light"><base target="_blank">${html}`;

export function MailPage() {
  const { t } = useTranslation();
  const { id } = useParams({ from: "/shell/inbox/$id" });
  const query = useQuery(mailQuery(id));
  const mail = query.data;
  return (
    <Page
      title={mail ? mail.subject || t("inbox.noSubject") : t("inbox.mail")}
      back={{ to: "/inbox", label: t("inbox.title") }}
    >
      {mail ? (
        <div className="split">
          <Panel label={t("mail.envelope")}>
            <Facts
              facts={[
                [t("mail.from"), mail.from],
                [t("mail.to"), mail.to.join(", ")],
                [t("mail.received"), dateTime(mail.received_at)],
                [
                  t("mail.messageId"),
                  <span key="id" className="mono">
                    {mail.message_id ?? "–"}
                  </span>,
                ],
                ...(mail.attachments.length
                  ? [
                      [
                        t("mail.attachments"),
                        mail.attachments
                          .map((one) => `${one.name} (${one.type}, ${bytes(one.bytes)})`)
                          .join(", "),
                      ] as [string, string],
                    ]
                  : []),
              ]}
            />
          </Panel>
          <Parts mail={mail} />
        </div>
      ) : (
        <Panel>
          <Loaded query={query}>{() => null}</Loaded>
        </Panel>
      )}
    </Page>
  );
}

function Parts({ mail }: { mail: Mail }) {
  const { t } = useTranslation();
  const { tab = mail.html === null ? "text" : "html" } = useSearch({ from: "/shell/inbox/$id" });
  const navigate = useNavigate({ from: "/inbox/$id" });
  return (
    <section className="panel" aria-label={t("inbox.mail")}>
      <Tabs
        value={tab}
        keepMounted={false}
        onChange={(next) =>
          void navigate({
            search: { tab: next === "text" || next === "headers" ? next : undefined },
            replace: true,
          })
        }
      >
        <Tabs.List className="tabs">
          <Tabs.Tab value="html" disabled={mail.html === null}>
            {t("mail.html")}
          </Tabs.Tab>
          <Tabs.Tab value="text">{t("mail.text")}</Tabs.Tab>
          <Tabs.Tab value="headers">{t("mail.headers")}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="html">
          {mail.html !== null && (
            <iframe
              className="mailFrame"
              title={t("mail.frame")}
              sandbox=""
              referrerPolicy="no-referrer"
              srcDoc={frame(mail.html)}
            />
          )}
        </Tabs.Panel>
        <Tabs.Panel value="text">
          {mail.text ? (
            <Text component="pre" size="sm" m={0} p="md" className="mailText">
              {mail.text}
            </Text>
          ) : (
            <Text c="dimmed" size="sm" p="md">
              {t("mail.noText")}
            </Text>
          )}
        </Tabs.Panel>
        <Tabs.Panel value="headers">
          <Rows
            label={t("mail.headers")}
            rows={mail.headers.map(([name = "", value = ""], place) => ({ name, value, place }))}
            rowKey={({ place }) => String(place)}
            columns={[
              {
                name: t("mail.header"),
                width: "26%",
                cell: ({ name }) => <b style={{ fontWeight: 550 }}>{name}</b>,
              },
              { name: t("mail.value"), cell: ({ value }) => <span className="mono">{value}</span> },
            ]}
          />
        </Tabs.Panel>
      </Tabs>
    </section>
  );
}
