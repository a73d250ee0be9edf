import { Table, VisuallyHidden } from "@mantine/core";
import type { ReactNode } from "react";

export type Column<Row> = {
  name: string;
  /** Heading for screen readers alone. */
  quiet?: boolean;
  cell: (row: Row) => ReactNode;
  number?: boolean;
  /** Left out on a phone. */
  wide?: boolean;
  width?: number | string;
  /** Takes what the others leave on a phone; the first, unless another says so. */
  main?: boolean;
};

/** A table; with `linked` its first cell holds a `rowLink` that covers the row. */
export function Rows<Row>(props: {
  label: string;
  columns: Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  linked?: boolean;
}) {
  const main = props.columns.find((column) => column.main) ?? props.columns[0];
  const look = (column: Column<Row>) =>
    [column.number && "number", column.wide && "phoneHide", column === main && "mainColumn"]
      .filter(Boolean)
      .join(" ") || undefined;
  return (
    <Table className="rows" aria-label={props.label}>
      <Table.Thead>
        <Table.Tr>
          {props.columns.map((column) => (
            <Table.Th key={column.name} className={look(column)} w={column.width} scope="col">
              {column.quiet ? <VisuallyHidden>{column.name}</VisuallyHidden> : column.name}
            </Table.Th>
          ))}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {props.rows.map((row) => (
          <Table.Tr key={props.rowKey(row)} data-link={props.linked || undefined}>
            {props.columns.map((column) => (
              <Table.Td key={column.name} className={look(column)}>
                {column.cell(row)}
              </Table.Td>
            ))}
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
