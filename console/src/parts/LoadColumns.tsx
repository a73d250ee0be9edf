import { Autocomplete, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Load, LoadMapping } from "../api/types";
import { Rows } from "./Rows";

const TARGETS = ["user_id", "anonymous_id", "email", "event", "timestamp", "message_id"];
const TYPES = [
  "text",
  "integer",
  "decimal",
  "decimal:1,234.56",
  "decimal:1.234,56",
  "boolean",
  "date:YYYY-MM-DD",
  "date:DD.MM.YYYY",
  "date:MM/DD/YYYY",
  "time:iso",
  "time:DD.MM.YYYY hh:mm",
  "time:seconds",
  "time:milliseconds",
];

/** What each column is, and of which type, to be corrected. */
export function LoadColumns(props: {
  load: Load;
  mapping: LoadMapping;
  disabled: boolean;
  onChange: (mapping: LoadMapping) => void;
}) {
  const { t } = useTranslation();
  const { load, mapping } = props;
  const of = (name: string) => mapping.columns?.[name] ?? { to: null, type: "text" };
  const change = (name: string, changed: { to?: string | null; type?: string }) =>
    props.onChange({ ...mapping, columns: { ...mapping.columns, [name]: { ...of(name), ...changed } } });
  return (
    <Rows
      label={t("load.columns")}
      rows={load.columns}
      rowKey={(name) => name}
      columns={[
        {
          name: t("load.column"),
          cell: (name) => (
            <>
              <span style={{ overflowWrap: "anywhere" }}>{name}</span>
              {load.doubts[name] && (
                <Text size="xs" c="dimmed">
                  {load.doubts[name]}
                </Text>
              )}
            </>
          ),
        },
        {
          name: t("load.is"),
          width: "34%",
          cell: (name) => (
            <Autocomplete
              size="xs"
              aria-label={t("load.isOf", { column: name })}
              placeholder={t("load.isHint")}
              data={TARGETS}
              value={of(name).to ?? ""}
              disabled={props.disabled}
              onChange={(to) => change(name, { to: to || null })}
            />
          ),
        },
        {
          name: t("load.type"),
          width: "32%",
          cell: (name) => (
            <Autocomplete
              size="xs"
              aria-label={t("load.typeOf", { column: name })}
              data={TYPES}
              value={of(name).type ?? "text"}
              disabled={props.disabled}
              onChange={(type) => change(name, { type })}
            />
          ),
        },
      ]}
    />
  );
}
