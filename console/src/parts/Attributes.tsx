import { ActionIcon, Table, Text, VisuallyHidden } from "@mantine/core";
import { IconHistory } from "@tabler/icons-react";
import { Fragment, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Attribute, Profile } from "../api/types";
import { words } from "../format";
import { Value, When } from "./Bits";

/** What systems told us: each value with who told it, when, by which event, and what it beat. */
export function Attributes({ attributes, none }: { attributes: Profile["attributes"]; none?: string }) {
  const { t } = useTranslation();
  const rows = Object.entries(attributes).sort(([one], [other]) => one.localeCompare(other));
  if (rows.length === 0) {
    return (
      <Text c="dimmed" size="sm" p="md">
        {none ?? t("profile.noAttributes")}
      </Text>
    );
  }
  return (
    <Table className="rows" aria-label={t("profile.attributes")}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th w="26%">{t("attributes.name")}</Table.Th>
          <Table.Th>{t("attributes.value")}</Table.Th>
          <Table.Th className="phoneHide">{t("attributes.source")}</Table.Th>
          <Table.Th className="number phoneHide">{t("attributes.stamp")}</Table.Th>
          <Table.Th w={44}>
            <VisuallyHidden>{t("attributes.previous")}</VisuallyHidden>
          </Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map(([name, attribute]) => (
          <Row key={name} name={name} attribute={attribute} />
        ))}
      </Table.Tbody>
    </Table>
  );
}

function Row({ name, attribute }: { name: string; attribute: Attribute }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const beaten = attribute.previous.length;
  return (
    <Fragment>
      <Table.Tr>
        <Table.Th
          scope="row"
          title={name}
          style={{ whiteSpace: "normal", borderBottomColor: "var(--line-soft)" }}
        >
          {words(name)}
        </Table.Th>
        <Table.Td fw={550} className="anywhere">
          <Value value={attribute.value} />
          <Text size="xs" c="dimmed" fw={400} className="phoneOnly">
            {attribute.source} · <When at={attribute.updated_at} />
          </Text>
        </Table.Td>
        <Table.Td className="phoneHide" c="dimmed" title={t("attributes.event", { event: attribute.event })}>
          {attribute.source}
          {open && <Cause event={attribute.event} />}
        </Table.Td>
        <Table.Td className="number phoneHide" c="dimmed">
          <When at={attribute.updated_at} />
        </Table.Td>
        <Table.Td pl={0}>
          {beaten > 0 && (
            <ActionIcon
              variant={open ? "light" : "subtle"}
              color={open ? "verdigris" : "gray"}
              size="sm"
              aria-expanded={open}
              aria-label={t("attributes.showPrevious", { name, count: beaten })}
              title={t("attributes.showPrevious", { name, count: beaten })}
              onClick={() => setOpen(!open)}
            >
              <IconHistory size={15} />
            </ActionIcon>
          )}
        </Table.Td>
      </Table.Tr>
      {open &&
        attribute.previous.map((write) => (
          <Table.Tr key={`${write.event} ${write.updated_at}`} style={{ background: "var(--hover)" }}>
            <Table.Td pl={28}>
              <Text size="xs" c="dimmed">
                {t("attributes.beaten")}
              </Text>
            </Table.Td>
            <Table.Td c="dimmed">
              <Value value={write.value} />
              <Text size="xs" className="phoneOnly">
                {write.source} · <When at={write.updated_at} />
              </Text>
            </Table.Td>
            <Table.Td className="phoneHide" c="dimmed">
              {write.source}
              <Cause event={write.event} />
            </Table.Td>
            <Table.Td className="number phoneHide" c="dimmed">
              <When at={write.updated_at} />
            </Table.Td>
            <Table.Td />
          </Table.Tr>
        ))}
    </Fragment>
  );
}

/** The event that told a value. */
function Cause({ event }: { event: string }) {
  const { t } = useTranslation();
  return (
    <Text size="xs" className="anywhere">
      {t("attributes.event", { event })}
    </Text>
  );
}
