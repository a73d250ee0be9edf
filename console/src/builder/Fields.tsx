// Fields that the rows of a condition are made of. Each has a name for screen readers; none has one that is seen.
import { Autocomplete, NativeSelect, TagsInput, TextInput } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { guess, SPAN, type TestDraft, toValue, type ValueKind } from "./drafts";

type Field = { label: string; value: string; onChange: (value: string) => void };

export function Choice<T extends string>(props: {
  label: string;
  value: T;
  options: readonly { value: T; label: string }[];
  onChange: (value: T) => void;
}) {
  return (
    <NativeSelect
      size="xs"
      className="builderChoice"
      aria-label={props.label}
      value={props.value}
      data={[...props.options]}
      onChange={(event) => props.onChange(event.currentTarget.value as T)}
    />
  );
}

/** A name that is written, or taken from those that are known. */
export function Name({ names, ...props }: Field & { names: string[] }) {
  return (
    <Autocomplete
      size="xs"
      className="builderName"
      aria-label={props.label}
      placeholder={props.label}
      data={names}
      limit={50}
      value={props.value}
      onChange={props.onChange}
    />
  );
}

const UNITS = ["second", "minute", "hour", "day", "week"] as const;

/** A span of time, as `7 days`; with `ever` it may be left out. */
export function Span({ ever, ...props }: Field & { ever?: string }) {
  const { t } = useTranslation();
  const found = /^(\S*) ?(second|minute|hour|day|week)?/.exec(props.value);
  const number = found?.[1] ?? "";
  const unit = UNITS.find((one) => one === found?.[2]) ?? "day";
  const write = (count: string, of: string) => props.onChange(`${count} ${of}${count === "1" ? "" : "s"}`);
  const absent = ever !== undefined && props.value === "";
  return (
    <>
      {!absent && (
        <TextInput
          size="xs"
          className="builderCount"
          inputMode="numeric"
          aria-label={t("builder.span.number", { label: props.label })}
          value={number}
          error={!SPAN.test(props.value)}
          onChange={(event) => write(event.currentTarget.value.trim(), unit)}
        />
      )}
      <NativeSelect
        size="xs"
        className="builderChoice"
        aria-label={t("builder.span.unit", { label: props.label })}
        value={absent ? "" : unit}
        data={[
          ...(ever === undefined ? [] : [{ value: "", label: ever }]),
          ...UNITS.map((one) => ({ value: one, label: t(`builder.span.${one}`) })),
        ]}
        onChange={(event) => {
          const chosen = event.currentTarget.value;
          if (chosen === "") props.onChange("");
          else write(absent ? "7" : number, chosen);
        }}
      />
    </>
  );
}

export function Count({ least, ...props }: Field & { least: number }) {
  const said = Number(props.value);
  return (
    <TextInput
      size="xs"
      className="builderCount"
      inputMode="numeric"
      aria-label={props.label}
      value={props.value}
      error={!/^\d+$/.test(props.value) || said < least || said > 1000}
      onChange={(event) => props.onChange(event.currentTarget.value.trim())}
    />
  );
}

const KINDS: ValueKind[] = ["text", "number", "yesno"];

/** What a test compares with. */
export function Compared(props: {
  draft: TestDraft;
  many: boolean;
  textOnly: boolean;
  onChange: (draft: TestDraft) => void;
}) {
  const { t } = useTranslation();
  const { draft, onChange } = props;
  const label = t("builder.value");
  const wrong = (text: string) => toValue(props.textOnly ? "text" : draft.kind, text) === undefined;
  return (
    <>
      {props.many ? (
        <TagsInput
          size="xs"
          className="grow"
          aria-label={label}
          placeholder={draft.items.length === 0 ? t("builder.values") : undefined}
          value={draft.items}
          error={draft.items.some(wrong)}
          splitChars={[","]}
          acceptValueOnBlur
          onChange={(items) => {
            const kinds = new Set(items.map(guess));
            const kind = draft.chosen ? draft.kind : kinds.size === 1 ? ([...kinds][0] ?? "text") : "text";
            onChange({ ...draft, items, kind });
          }}
        />
      ) : draft.kind === "yesno" && !props.textOnly ? (
        <Choice
          label={label}
          value={draft.text === "false" ? "false" : "true"}
          options={[
            { value: "true", label: t("builder.yes") },
            { value: "false", label: t("builder.no") },
          ]}
          onChange={(text) => onChange({ ...draft, text })}
        />
      ) : (
        <TextInput
          size="xs"
          className="builderValue"
          aria-label={label}
          placeholder={label}
          value={draft.text}
          error={draft.text !== "" && wrong(draft.text)}
          onChange={(event) => {
            const text = event.currentTarget.value;
            const kind = draft.chosen ? draft.kind : text === "" ? draft.kind : guess(text);
            onChange({ ...draft, text, kind: kind === "yesno" ? "text" : kind });
          }}
        />
      )}
      {!props.textOnly && (
        <Choice
          label={t("builder.kind.label")}
          value={draft.kind}
          options={(draft.kind === "json" ? [...KINDS, "json" as const] : KINDS).map((value) => ({
            value,
            label: t(`builder.kind.${value}`),
          }))}
          onChange={(kind) =>
            onChange({ ...draft, kind, chosen: true, text: kind === "yesno" ? "true" : draft.text })
          }
        />
      )}
    </>
  );
}
