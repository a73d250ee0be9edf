import { Button, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconInfoCircle, IconPlugConnectedX, IconRefresh } from "@tabler/icons-react";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { i18next } from "../i18n";

export function Loading({ lines = 5 }: { lines?: number }) {
  const { t } = useTranslation();
  return (
    <div role="status" aria-label={t("state.loading")} style={{ padding: 16 }}>
      <Stack gap={12}>
        {Array.from({ length: lines }, (_, line) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the lines never change
          <Skeleton key={line} height={14} width={`${92 - ((line * 17) % 38)}%`} radius="sm" />
        ))}
      </Stack>
    </div>
  );
}

export function Empty(props: { icon: ReactNode; title: string; children?: ReactNode; code?: string }) {
  return (
    <div className="empty">
      <div className="emptyMark" aria-hidden>
        {props.icon}
      </div>
      <Title order={2}>{props.title}</Title>
      {props.children && <p>{props.children}</p>}
      {props.code && (
        <pre className="code" style={{ marginTop: 10, maxWidth: "100%" }}>
          {props.code}
        </pre>
      )}
    </div>
  );
}

/** What is told of an error: the API's words, else what we know. */
export function explain(error: unknown): { detail: string; remedy: string } {
  const { t } = i18next;
  if (error instanceof ApiError && error.status === 0) {
    return { detail: t("error.away"), remedy: t("error.awayRemedy") };
  }
  if (error instanceof ApiError) {
    return {
      detail: error.problem.detail ?? t("error.status", { status: error.status }),
      remedy: error.problem.remedy ?? t("error.unknownRemedy"),
    };
  }
  return { detail: t("error.ours"), remedy: t("error.oursRemedy") };
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useTranslation();
  const { detail, remedy } = explain(error);
  return (
    <div className="empty" role="alert">
      <div className="emptyMark" aria-hidden style={{ background: "var(--bad-soft)", color: "var(--bad)" }}>
        <IconPlugConnectedX size={22} />
      </div>
      <Title order={2}>{t("error.title")}</Title>
      <p style={{ color: "inherit" }}>{detail}</p>
      <p>{remedy}</p>
      {retry && (
        <Button mt={10} leftSection={<IconRefresh size={16} />} onClick={retry}>
          {t("action.retry")}
        </Button>
      )}
    </div>
  );
}

type Asked<T> = Pick<UseQueryResult<T>, "data" | "error" | "isPending"> & { refetch: () => unknown };

/** Loading, failed, or there. What was there stays when asking again fails, with a line that says so. */
export function Loaded<T>({
  query,
  lines,
  children,
}: {
  query: Asked<T>;
  lines?: number;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) {
    return (
      <>
        {query.error && <Stale error={query.error} />}
        {children(query.data)}
      </>
    );
  }
  if (query.error) return <Failure error={query.error} retry={() => query.refetch()} />;
  return <Loading lines={lines} />;
}

function Stale({ error }: { error: Error }) {
  const { t } = useTranslation();
  return (
    <div style={{ padding: 12 }}>
      <Notice tone="warn" role="status">
        {t("error.stale")} {explain(error).detail}
      </Notice>
    </div>
  );
}

export function Notice(props: {
  tone: "good" | "warn" | "bad";
  title?: string;
  role?: "status" | "alert";
  children?: ReactNode;
}) {
  const Icon = props.tone === "good" ? IconInfoCircle : IconAlertTriangle;
  return (
    <div
      className="notice"
      role={props.role}
      style={{ "--tone": `var(--${props.tone})`, "--tone-soft": `var(--${props.tone}-soft)` } as object}
    >
      <Icon size={18} aria-hidden />
      <div style={{ minWidth: 0 }}>
        {props.title && (
          <Text fw={600} size="sm">
            {props.title}
          </Text>
        )}
        <Text size="sm" component="div">
          {props.children}
        </Text>
      </div>
    </div>
  );
}

/** The foot of a paged list. */
export function More(props: {
  shown: number;
  total?: number;
  query: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };
}) {
  const { t } = useTranslation();
  return (
    <Group justify="space-between" px="md" py={10} style={{ borderTop: "1px solid var(--line-soft)" }}>
      <Text size="xs" c="dimmed" role="status">
        {props.total === undefined
          ? t("list.shown", { count: props.shown })
          : t("list.shownOf", {
              shown: props.shown.toLocaleString("en"),
              total: props.total.toLocaleString("en"),
            })}
      </Text>
      {props.query.hasNextPage && (
        <Button
          size="xs"
          loading={props.query.isFetchingNextPage}
          onClick={() => props.query.fetchNextPage()}
        >
          {t("action.more")}
        </Button>
      )}
    </Group>
  );
}
