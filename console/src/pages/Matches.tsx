import { Button, Group, Select, Text, Title } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconArrowsJoin, IconMoodCheck, IconUsers } from "@tabler/icons-react";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { answer, api } from "../api/client";
import { type ProposalFilter, proposalCountsQuery, proposalsQuery } from "../api/queries";
import type { Proposal } from "../api/types";
import { count } from "../format";
import { Status, When } from "../parts/Bits";
import { Page, Panel } from "../parts/Page";
import { displayName } from "../parts/people";
import { Empty, explain, Loaded, More, Notice } from "../parts/States";

const TIERS = ["exact", "strict", "loose"] as const;
const STATES = ["open", "accepted", "rejected", "merged", "closed"] as const;
const TONES = { open: "warn", accepted: "good", rejected: "bad", merged: "good", closed: "idle" } as const;

type Verdict = { proposal: Proposal; accept: boolean };
type Side = Proposal["one"];

export function Matches() {
  const { t } = useTranslation();
  const navigate = useNavigate({ from: "/matches" });
  const filter = useSearch({ from: "/shell/matches" });
  const counts = useQuery(proposalCountsQuery).data?.counts ?? [];
  const query = useInfiniteQuery(proposalsQuery(filter));
  const decide = useDecide();
  const set = (change: ProposalFilter) =>
    navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const filtered = Boolean(filter.tier || filter.state);
  return (
    <Page title={t("matches.title")} about={t("matches.about")}>
      <Panel label={t("matches.title")} flush>
        <div className="toolbar">
          <Select
            aria-label={t("matches.tierTitle")}
            placeholder={t("matches.anyTier")}
            data={TIERS.map((tier) => ({ value: tier, label: t(`matches.tier.${tier}`) }))}
            value={filter.tier ?? null}
            onChange={(tier) => set({ tier: TIERS.find((one) => one === tier) })}
            clearable
            clearButtonProps={{ "aria-label": t("action.clear") }}
            className="filter"
          />
          <Select
            aria-label={t("matches.stateTitle")}
            data={STATES.map((state) => ({ value: state, label: t(`matches.state.${state}`) }))}
            value={filter.state ?? "open"}
            onChange={(state) => set({ state: STATES.find((one) => one === state && one !== "open") })}
            allowDeselect={false}
            className="filter"
          />
        </div>
        {counts.length > 0 && (
          <ul className="kinds" aria-label={t("matches.counts")}>
            {counts.map((one) => (
              <li key={`${one.tier} ${one.state}`}>
                <button
                  type="button"
                  className="kind"
                  onClick={() => set({ tier: one.tier, state: one.state === "open" ? undefined : one.state })}
                >
                  <b>{count(one.count)}</b> {t(`matches.tier.${one.tier}`)}
                  <Status tone={TONES[one.state]}>{t(`matches.state.${one.state}`)}</Status>
                </button>
              </li>
            ))}
          </ul>
        )}
        <Loaded query={query}>
          {({ pages }) => {
            const proposals = pages.flatMap((page) => page.proposals);
            return proposals.length === 0 ? (
              <Empty
                icon={<IconMoodCheck size={22} />}
                title={t(filtered ? "matches.noMatch" : "matches.none")}
                code={filtered ? undefined : t("matches.noneCode")}
              >
                {filtered ? undefined : t("matches.noneAbout")}
              </Empty>
            ) : (
              <>
                <ul style={{ listStyle: "none", margin: 0, padding: 0 }}>
                  {proposals.map((proposal) => (
                    <Pair
                      key={proposal.id}
                      proposal={proposal}
                      onDecide={(accept) => {
                        // Buttons stay enabled: one that is not cannot be given the focus.
                        if (!decide.isPending) decide.mutate({ proposal, accept });
                      }}
                    />
                  ))}
                </ul>
                <More shown={proposals.length} query={query} />
              </>
            );
          }}
        </Loaded>
      </Panel>
    </Page>
  );
}

function useDecide() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ proposal: { id }, accept }: Verdict) => {
      const params = { params: { path: { id } } };
      return answer(
        accept
          ? api.POST("/v1/proposals/{id}/accept", params)
          : api.POST("/v1/proposals/{id}/reject", params),
      );
    },
    onSuccess: (_, { accept }) => {
      notifications.show({
        message: t(accept ? "matches.accepted" : "matches.rejected"),
        color: "verdigris",
      });
    },
    onError: (error) => {
      const { detail, remedy } = explain(error);
      notifications.show({ title: detail, message: remedy, color: "red", autoClose: false });
    },
    onSettled: async (_, __, { proposal }) => {
      // Whoever decides by keyboard goes on with the pair that comes next.
      const next = document.querySelector(`[data-pair="${proposal.id}"] ~ li button`);
      await queries.invalidateQueries({ queryKey: ["proposals"] });
      if (next instanceof HTMLElement) next.focus();
    },
  });
}

function Pair(props: { proposal: Proposal; onDecide: (accept: boolean) => void }) {
  const { t } = useTranslation();
  const { proposal } = props;
  const names = [proposal.one, proposal.other].map((side) => (side ? displayName(side) : t("matches.gone")));
  const [one, other] = names;
  const title = t("matches.pair", { one, other });
  return (
    <li className="pair" data-pair={proposal.id} aria-label={title}>
      <Group justify="space-between" align="flex-start" gap="sm">
        <div style={{ minWidth: 0 }}>
          <Title order={3} size="h5" style={{ overflowWrap: "anywhere" }}>
            {title}
          </Title>
          <Text size="xs" c="dimmed" mt={2}>
            {t(`matches.tier.${proposal.tier}`)} ·{" "}
            {t("matches.probability", { percent: percent(proposal.probability) })} ·{" "}
            <When at={proposal.proposed_at} />
          </Text>
        </div>
        {proposal.state === "open" ? (
          <Group gap="xs">
            <Button
              size="xs"
              variant="filled"
              leftSection={<IconArrowsJoin size={15} aria-hidden />}
              aria-label={`${t("matches.accept")}: ${title}`}
              onClick={() => props.onDecide(true)}
            >
              {t("matches.accept")}
            </Button>
            <Button
              size="xs"
              leftSection={<IconUsers size={15} aria-hidden />}
              aria-label={`${t("matches.reject")}: ${title}`}
              onClick={() => props.onDecide(false)}
            >
              {t("matches.reject")}
            </Button>
          </Group>
        ) : (
          <Status tone={TONES[proposal.state]}>
            {proposal.decided_by
              ? t("matches.decidedBy", {
                  state: t(`matches.state.${proposal.state}`),
                  by: proposal.decided_by,
                })
              : t(`matches.state.${proposal.state}`)}
          </Status>
        )}
      </Group>
      {proposal.refused === null ? null : (
        <Notice tone="warn">{t("matches.refused", { why: proposal.refused })}</Notice>
      )}
      <Text size="sm" mt={8}>
        {proposal.reasons.join(" · ")}
      </Text>
      <table className="pairTable">
        <thead>
          <tr>
            <th scope="col">{t("matches.field")}</th>
            <Head side={proposal.one} name={one ?? ""} />
            <Head side={proposal.other} name={other ?? ""} />
          </tr>
        </thead>
        <tbody>
          {proposal.compared.map(({ field, one: left, other: right }) => (
            <tr key={field} className={left && right && left !== right ? "differs" : undefined}>
              <th scope="row">
                {t(`matches.fields.${field}`, { defaultValue: field.replaceAll("_", " ") })}
              </th>
              <td>{left ?? "–"}</td>
              <td>{right ?? "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </li>
  );
}

function Head({ side, name }: { side: Side; name: string }) {
  return (
    <th scope="col">
      {side ? (
        <Link to="/profiles/$id" params={{ id: side.id }}>
          {name}
        </Link>
      ) : (
        name
      )}
    </th>
  );
}

/** Never rounded up to certainty. */
const percent = (probability: number) =>
  Math.min(Math.floor(probability * 1000) / 10, 99.9).toLocaleString("en");
