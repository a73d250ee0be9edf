import { Button, Checkbox, Group, Modal, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconChevronRight, IconMoodCheck, IconRefresh } from "@tabler/icons-react";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api } from "../api/client";
import { deadLettersQuery } from "../api/queries";
import type { DeadLetter } from "../api/types";
import { count } from "../format";
import { Json, When } from "./Bits";
import { Empty, explain, Loaded, More } from "./States";
import { Timeline } from "./Timeline";

/** What could not be delivered: with its reason, every attempt, and the way to try again. */
export function DeadLetters({ name }: { name: string }) {
  const { t } = useTranslation();
  const query = useInfiniteQuery(deadLettersQuery(name));
  const queries = useQueryClient();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [sure, setSure] = useState(false);
  const retry = useMutation({
    mutationFn: (what: { ids: string[] } | { all: true }) =>
      answer(
        api.POST("/v1/connections/{name}/dead-letters/retry", { params: { path: { name } }, body: what }),
      ),
    onSuccess: async ({ retried }) => {
      setChosen(new Set());
      notifications.show({ message: t("dead.retried", { count: retried }), color: "verdigris" });
      await queries.invalidateQueries({ queryKey: ["connections"] });
    },
    onError: (error) => {
      const { detail, remedy } = explain(error);
      notifications.show({ title: detail, message: remedy, color: "red", autoClose: false });
    },
  });
  return (
    <Loaded query={query}>
      {({ pages }) => {
        const letters = pages.flatMap((page) => page.dead_letters);
        if (letters.length === 0) {
          return (
            <Empty icon={<IconMoodCheck size={22} />} title={t("dead.none")}>
              {t("dead.noneAbout")}
            </Empty>
          );
        }
        const there = letters.filter(({ id }) => chosen.has(id)).map(({ id }) => id);
        return (
          <>
            <div className="toolbar" style={{ justifyContent: "space-between" }}>
              <Checkbox
                label={there.length ? t("dead.chosen", { count: there.length }) : t("dead.choose")}
                checked={there.length === letters.length}
                indeterminate={there.length > 0 && there.length < letters.length}
                onChange={(event) =>
                  setChosen(new Set(event.currentTarget.checked ? letters.map(({ id }) => id) : []))
                }
              />
              <Group gap="xs">
                <Button
                  size="xs"
                  disabled={there.length === 0}
                  loading={retry.isPending}
                  onClick={() => retry.mutate({ ids: there })}
                >
                  {t("dead.retryChosen")}
                </Button>
                <Button
                  size="xs"
                  variant="filled"
                  leftSection={<IconRefresh size={15} />}
                  loading={retry.isPending}
                  onClick={() => setSure(true)}
                >
                  {t("dead.retryAll")}
                </Button>
              </Group>
            </div>
            <ul style={{ listStyle: "none", margin: 0, padding: 0 }}>
              {letters.map((letter) => (
                <Letter
                  key={letter.id}
                  letter={letter}
                  chosen={chosen.has(letter.id)}
                  onChoose={(on) =>
                    setChosen((before) => {
                      const next = new Set(before);
                      if (on) next.add(letter.id);
                      else next.delete(letter.id);
                      return next;
                    })
                  }
                  busy={retry.isPending}
                  onRetry={() => retry.mutate({ ids: [letter.id] })}
                />
              ))}
            </ul>
            <More shown={letters.length} query={query} />
            <Modal
              opened={sure}
              onClose={() => setSure(false)}
              title={t("dead.sure")}
              closeButtonProps={{ "aria-label": t("action.close") }}
              centered
            >
              <Text size="sm">{t("dead.sureAbout")}</Text>
              <Group justify="flex-end" mt="lg" gap="xs">
                <Button onClick={() => setSure(false)}>{t("action.cancel")}</Button>
                <Button
                  variant="filled"
                  data-autofocus
                  onClick={() => {
                    setSure(false);
                    retry.mutate({ all: true });
                  }}
                >
                  {t("dead.retryAll")}
                </Button>
              </Group>
            </Modal>
          </>
        );
      }}
    </Loaded>
  );
}

function Letter(props: {
  letter: DeadLetter;
  chosen: boolean;
  busy: boolean;
  onChoose: (on: boolean) => void;
  onRetry: () => void;
}) {
  const { t } = useTranslation();
  const { letter } = props;
  const [open, setOpen] = useState(false);
  return (
    <li className="eventItem">
      <Group wrap="nowrap" gap={12} px="md" py={10} align="flex-start">
        <Checkbox
          mt={2}
          aria-label={t("dead.chooseOne", { reason: letter.reason })}
          checked={props.chosen}
          onChange={(event) => props.onChoose(event.currentTarget.checked)}
        />
        <button type="button" className="plain" aria-expanded={open} onClick={() => setOpen(!open)}>
          <IconChevronRight size={16} className="chevron" aria-hidden />
          <span style={{ minWidth: 0 }}>
            <b style={{ fontWeight: 550, overflowWrap: "anywhere" }}>{letter.reason}</b>
            <Text size="xs" c="dimmed" component="span" display="block" mt={2}>
              {t("dead.tried", { count: letter.attempts.length })} · <When at={letter.died_at} />
            </Text>
          </span>
        </button>
        <Button size="xs" disabled={props.busy} onClick={props.onRetry}>
          {t("action.retry")}
        </Button>
      </Group>
      {open && (
        <div className="letterOpen">
          {letter.remedy && (
            <Text size="sm" mb="sm">
              <b style={{ fontWeight: 600 }}>{t("dead.remedy")}</b> {letter.remedy}
            </Text>
          )}
          <Text size="sm" mb="sm">
            <Link to="/profiles/$id" params={{ id: letter.profile }} style={{ color: "var(--accent)" }}>
              {t("events.toProfile")}
            </Link>
          </Text>
          <div className="split even">
            <div>
              <Text size="xs" c="dimmed" mb={4}>
                {t("dead.attempts", { count: letter.attempts.length, shown: count(letter.attempts.length) })}
              </Text>
              <Timeline
                rows={letter.attempts
                  .map(({ at, error }) => ({ key: at, title: error, note: null, at, tone: "var(--bad)" }))
                  .toReversed()}
              />
            </div>
            <div>
              <Text size="xs" c="dimmed" mb={4}>
                {t("dead.fields")}
              </Text>
              <Json value={letter.fields} label={t("dead.fields")} />
            </div>
          </div>
        </div>
      )}
    </li>
  );
}
