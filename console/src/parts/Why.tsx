// Why somebody is in an audience, or is not.
import { Anchor, Modal, Select, Text } from "@mantine/core";
import { IconCheck, IconMinus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { audiencesQuery, whyQuery } from "../api/queries";
import type { Reason } from "../api/types";
import { dateTime, plain, title, words } from "../format";
import { Value, When } from "./Bits";
import { Joint, Leaf } from "./ConditionTree";
import { joined } from "./conditionWords";
import { Loaded } from "./States";

/** Takes any audience, to ask of it. */
export function AskWhy({ onAsk }: { onAsk: (audience: string) => void }) {
  const { t } = useTranslation();
  const { data } = useQuery(audiencesQuery);
  return (
    <Select
      size="xs"
      searchable
      aria-label={t("why.ask")}
      placeholder={t("why.ask")}
      nothingFoundMessage={t("why.noSuch")}
      value={null}
      data={(data?.audiences ?? []).map(({ name }) => ({ value: name, label: title(name) }))}
      onChange={(name) => name !== null && onAsk(name)}
    />
  );
}

/** The reasons, over the page. */
export function Why(props: {
  identifier: string;
  person: string;
  audience: string | undefined;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const { audience } = props;
  return (
    <Modal
      opened={audience !== undefined}
      onClose={props.onClose}
      size="lg"
      title={t("why.title", { person: props.person, audience: words(audience ?? "") })}
      closeButtonProps={{ "aria-label": t("action.close") }}
    >
      {audience !== undefined && <Answer identifier={props.identifier} audience={audience} />}
    </Modal>
  );
}

function Answer({ identifier, audience }: { identifier: string; audience: string }) {
  const { t } = useTranslation();
  const query = useQuery(whyQuery(identifier, audience));
  return (
    <Loaded query={query} lines={5}>
      {({ member, since, number, reason }) => (
        <>
          <Text size="sm" mb={12}>
            <b>{t(member ? "why.member" : "why.notMember", { audience: words(audience) })}</b>{" "}
            {since && (
              <span className="dim">
                {t(member ? "why.since" : "why.left", { time: dateTime(since) })}
                {number > 1 && ` ${t("why.times", { count: number })}`}
              </span>
            )}
          </Text>
          {reason.holds !== member && (
            <Text size="sm" c="dimmed" mb={12}>
              {t("why.soon")}
            </Text>
          )}
          <ul className="reasons condition" aria-label={t("why.reasons")}>
            <Told reason={reason} />
          </ul>
          <Anchor
            size="xs"
            mt={14}
            display="inline-block"
            renderRoot={(props) => <Link to="/audiences/$name" params={{ name: audience }} {...props} />}
          >
            {t("why.toAudience", { audience: title(audience) })}
          </Anchor>
        </>
      )}
    </Loaded>
  );
}

function Told({ reason }: { reason: Reason }) {
  const { t } = useTranslation();
  const joint = joined(reason.condition);
  return (
    <li data-holds={reason.holds}>
      <span className="reasonMark" role="img" aria-label={t(reason.holds ? "why.holds" : "why.holdsNot")}>
        {reason.holds ? <IconCheck size={15} stroke={2.2} /> : <IconMinus size={15} stroke={2.2} />}
      </span>
      <div>
        {joint === null ? <Leaf condition={reason.condition} /> : <Joint op={joint.op} />}
        {joint === null && (
          <div className="reasonFound">
            <Found reason={reason} />
          </div>
        )}
        {reason.changes_at && joint === null && (
          <div className="reasonFound">
            {t("why.changes")} <When at={reason.changes_at} />
          </div>
        )}
        {reason.of.length > 0 && (
          <ul>
            {reason.of.map((part, place) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a condition have no other place
              <Told key={place} reason={part} />
            ))}
          </ul>
        )}
      </div>
    </li>
  );
}

type Standing = { member: boolean; since: string };

/** How a person stands to an audience that another one looks at; its own condition stands below. */
function Stood({ standing }: { standing: Standing | null }) {
  const { t } = useTranslation();
  if (standing === null) return t("why.neverIn");
  return t(standing.member ? "why.inSince" : "why.leftIt", { time: dateTime(standing.since) });
}

/** The value that was found, or when it happened. */
function Found({ reason }: { reason: Reason }) {
  const { t } = useTranslation();
  const { op, group } = reason.condition as { op?: string; group?: string };
  const value = reason.value as unknown;
  if (op === "member" && group === undefined) return <Stood standing={value as Standing | null} />;
  if (op === "member") {
    const groups = Array.isArray(value) ? value.map(String) : [];
    if (groups.length === 0) return t("why.noGroup");
    return (
      <>
        {t("why.inGroups")} <code>{groups.join(", ")}</code>
      </>
    );
  }
  if (op === "did" || op === "sequence") {
    const moments = Array.isArray(value) ? value.map(String) : [];
    if (moments.length === 0) return t(op === "did" ? "why.never" : "why.neverAll");
    return (
      <>
        {t("why.happened", { count: moments.length })}{" "}
        {moments
          .slice(-3)
          .map((at) => dateTime(at))
          .join(", ")}
        {moments.length > 3 && ` ${t("why.andBefore")}`}
      </>
    );
  }
  if (value === null || value === undefined || (Array.isArray(value) && value.length === 0))
    return t("why.noValue");
  return (
    <>
      {t("why.found")}{" "}
      <code>{Array.isArray(value) ? value.map(plain).join(", ") : <Value value={value} />}</code>
    </>
  );
}
