import { Button, Text, Textarea } from "@mantine/core";
import { useRef } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { explain } from "../parts/States";

const PLACE = /^line (\d+), column (\d+): /;
/** Characters of a line that are shown around a mistake. */
const AROUND = 34;

/** A condition as SQL; a mistake is shown where it is. */
export function SqlEditor(props: { value: string; error: unknown; onChange: (sql: string) => void }) {
  const { t } = useTranslation();
  const field = useRef<HTMLTextAreaElement>(null);
  const { error } = props;
  const flaw = error instanceof ApiError && error.status === 400 ? error.message : null;
  const place = flaw === null ? null : placeOf(flaw, props.value);
  const said = flaw?.replace(PLACE, "").replace(/^where: /, "") ?? "";
  const [what = "", ...rest] = said.split("; ");
  return (
    <>
      <Textarea
        ref={field}
        aria-label={t("builder.sql")}
        placeholder={t("builder.sqlExample")}
        autosize
        minRows={3}
        maxRows={14}
        spellCheck={false}
        autoCapitalize="off"
        autoCorrect="off"
        classNames={{ input: "builderSql" }}
        aria-invalid={flaw !== null}
        value={props.value}
        onChange={(event) => props.onChange(event.currentTarget.value)}
      />
      {error !== null && error !== undefined && (
        <div className="builderFlaw" role="alert">
          {place && (
            <>
              <Text size="xs" fw={600}>
                {t("builder.place", { line: place.line, column: place.column })}
              </Text>
              <pre className="builderExcerpt">
                {place.before}
                <mark>{place.at || " "}</mark>
                {place.after}
              </pre>
            </>
          )}
          <Text size="sm">{flaw === null ? explain(error).detail : what}</Text>
          {rest.length > 0 && (
            <Text size="xs" c="dimmed" mt={4}>
              {rest.join("; ")}
            </Text>
          )}
          {place && (
            <Button
              size="compact-xs"
              mt={8}
              onClick={() => {
                field.current?.focus();
                field.current?.setSelectionRange(place.offset, place.offset + place.at.length);
              }}
            >
              {t("builder.goThere")}
            </Button>
          )}
        </div>
      )}
    </>
  );
}

/** Where a mistake is: the words around it, and how far that is into the text. */
function placeOf(flaw: string, text: string) {
  const found = PLACE.exec(flaw);
  if (found === null) return null;
  const line = Number(found[1]);
  const column = Number(found[2]);
  const lines = text.split("\n");
  const whole = lines[line - 1] ?? "";
  const from = Math.min(Math.max(column - 1, 0), whole.length);
  const at = /^[\w.]+|^\S/.exec(whole.slice(from))?.[0] ?? "";
  const offset = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + from;
  const end = from + at.length;
  return {
    line,
    column,
    offset,
    at,
    before: (from > AROUND ? "…" : "") + whole.slice(Math.max(0, from - AROUND), from),
    after: whole.slice(end, end + AROUND) + (whole.length > end + AROUND ? "…" : ""),
  };
}
