// The small things that every page shows the same way.
import { ActionIcon, CopyButton, TextInput, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy, IconSearch, IconX } from "@tabler/icons-react";
import {
  type CSSProperties,
  Fragment,
  type ReactNode,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
} from "react";
import { useTranslation } from "react-i18next";
import { writeJson } from "../api/exact";
import { ago, dateTime, plain } from "../format";

export type Tone = "good" | "warn" | "bad" | "idle";
const TONES: Record<Tone, string> = {
  good: "var(--good)",
  warn: "var(--warn)",
  bad: "var(--bad)",
  idle: "var(--mantine-color-dimmed)",
};

export function Status({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className="status" style={{ "--tone": TONES[tone] } as CSSProperties}>
      <i aria-hidden />
      {children}
    </span>
  );
}

let second = Date.now();
const watchers = new Set<() => void>();
setInterval(() => {
  second = Date.now();
  for (const watcher of watchers) watcher();
}, 5_000);

function useNow(): number {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => second,
  );
}

/** How long ago, with the instant itself to hover. */
export function When({ at }: { at: string }) {
  const { t } = useTranslation();
  const now = Math.max(useNow(), Date.now());
  return (
    <time dateTime={at} title={`${dateTime(at)}  (${at})`} className="nowrap">
      {ago(at, now, t("time.justNow"))}
    </time>
  );
}

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/;

/** A value of JSON on one line; an instant reads as a date. */
export function Value({ value }: { value: unknown }) {
  if (typeof value === "string" && INSTANT.test(value)) {
    return (
      <time dateTime={value} title={value}>
        {dateTime(value)}
      </time>
    );
  }
  return plain(value);
}

export function Copy({ text, label }: { text: string; label: string }) {
  const { t } = useTranslation();
  return (
    <CopyButton value={text}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? t("action.copied") : label}>
          <ActionIcon
            variant="subtle"
            color="gray"
            size="sm"
            className="above"
            onClick={copy}
            aria-label={label}
          >
            {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

export function IdentifierChip({ kind, value }: { kind: string; value: string }) {
  return (
    <span className="chip" title={`${kind}:${value}`}>
      <b>{kind}</b>
      <span>{value}</span>
    </span>
  );
}

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

/** JSON, indented and tinted. */
export function Json({ value, label }: { value: unknown; label: string }) {
  const parts = useMemo(() => tint(writeJson(value)), [value]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section className="code" style={{ maxHeight: 420 }} aria-label={label} tabIndex={0}>
      <code>{parts}</code>
    </section>
  );
}

function tint(text: string): ReactNode[] {
  const parts: ReactNode[] = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    parts.push(text.slice(end, match.index));
    const kind = match[1] ? (match[2] ? "k" : "s") : match[3] ? "w" : "n";
    const shown = match[1] ?? match[0];
    parts.push(
      <span key={match.index} className={kind}>
        {shown}
      </span>,
    );
    end = match.index + shown.length;
  }
  parts.push(text.slice(end));
  return parts;
}

export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </Fragment>
      ))}
    </dl>
  );
}

/** A search field whose text goes to the URL a moment after the last key. `/` focuses it. */
export function SearchField(props: {
  value: string;
  onChange: (text: string) => void;
  label: string;
  placeholder: string;
}) {
  const { t } = useTranslation();
  const [text, setText] = useState(props.value);
  useEffect(() => setText(props.value), [props.value]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only the text starts the wait
  useEffect(() => {
    if (text === props.value) return;
    const timer = setTimeout(() => props.onChange(text), 250);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <TextInput
      className="grow"
      type="search"
      data-search
      aria-label={props.label}
      aria-keyshortcuts="/"
      placeholder={props.placeholder}
      value={text}
      onChange={(event) => setText(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter") props.onChange(text);
        if (event.key === "Escape") {
          setText("");
          props.onChange("");
          event.currentTarget.blur();
        }
      }}
      leftSection={<IconSearch size={16} aria-hidden />}
      rightSection={
        text && (
          <ActionIcon
            variant="subtle"
            color="gray"
            size="sm"
            aria-label={t("action.clear")}
            onClick={() => {
              setText("");
              props.onChange("");
            }}
          >
            <IconX size={14} />
          </ActionIcon>
        )
      }
    />
  );
}
