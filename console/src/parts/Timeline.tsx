import { Text } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { When } from "./Bits";

type Row = {
  key: string;
  title: string;
  note: string | null;
  at: string;
  tone?: string;
  open?: () => ReactNode;
};

/** What happened, the latest first; a row opens what is behind it. */
export function Timeline({ rows }: { rows: Row[] }) {
  return (
    <ol className="timeline">
      {rows.map((row) => (
        <Item key={row.key} row={row} />
      ))}
    </ol>
  );
}

function Item({ row }: { row: Row }) {
  const [open, setOpen] = useState(false);
  const content = (
    <>
      <span style={{ flex: 1, minWidth: 0 }}>
        <b style={{ fontWeight: 550 }}>{row.title}</b>
        {row.note && (
          <Text component="span" size="sm" c="dimmed" ml={8}>
            {row.note}
          </Text>
        )}
      </span>
      <Text component="span" size="xs" c="dimmed">
        <When at={row.at} />
      </Text>
    </>
  );
  return (
    <li style={row.tone ? ({ "--tone": row.tone } as object) : undefined}>
      {row.open ? (
        <button type="button" className="timelineRow" aria-expanded={open} onClick={() => setOpen(!open)}>
          {content}
        </button>
      ) : (
        <div className="timelineRow" style={{ cursor: "default", background: "none" }}>
          {content}
        </div>
      )}
      {open && <div style={{ padding: "2px 10px 12px" }}>{row.open?.()}</div>}
    </li>
  );
}
