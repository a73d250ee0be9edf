import { Button, Group, Modal, Table, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconRestore } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api } from "../api/client";
import { restorationQuery } from "../api/queries";
import type { Restoration } from "../api/types";
import { instant, words } from "../format";
import { Value } from "./Bits";
import { explain, Loaded, Notice } from "./States";

/** Has attributes say what they said then, once it was shown what would be written. */
export function Restore({ identifier, asOf }: { identifier: string; asOf: string }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [sure, setSure] = useState(false);
  const preview = useQuery({ ...restorationQuery(identifier, asOf), enabled: sure });
  const restore = useMutation({
    mutationFn: () =>
      answer(
        api.POST("/v1/profiles/{identifier}/restore", {
          params: { path: { identifier } },
          body: { as_of: asOf },
        }),
      ),
    onSuccess: async ({ attributes }) => {
      setSure(false);
      notifications.show({ message: t("restore.asked", { count: attributes.length }), color: "verdigris" });
      await queries.invalidateQueries({ queryKey: ["profile", identifier] });
    },
    onError: (error) => {
      const { detail, remedy } = explain(error);
      notifications.show({ title: detail, message: remedy, color: "red", autoClose: false });
    },
  });
  return (
    <>
      <Button leftSection={<IconRestore size={16} />} onClick={() => setSure(true)}>
        {t("restore.open")}
      </Button>
      <Modal
        opened={sure}
        onClose={() => setSure(false)}
        size="lg"
        title={t("restore.title", { time: instant(asOf) })}
        closeButtonProps={{ "aria-label": t("action.close") }}
        centered
      >
        <Text size="sm" mb="sm">
          {t("restore.about")}
        </Text>
        <Loaded query={preview}>{(found) => <Planned found={found} />}</Loaded>
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button onClick={() => setSure(false)}>{t("action.cancel")}</Button>
          <Button
            variant="filled"
            disabled={!preview.data || preview.data.attributes.length === 0}
            loading={restore.isPending}
            onClick={() => restore.mutate()}
          >
            {t("restore.do", { count: preview.data?.attributes.length ?? 0 })}
          </Button>
        </Group>
      </Modal>
    </>
  );
}

function Planned({ found }: { found: Restoration }) {
  const { t } = useTranslation();
  return (
    <>
      {found.attributes.length === 0 ? (
        <Text c="dimmed" size="sm">
          {t("restore.nothing")}
        </Text>
      ) : (
        <Table className="rows" aria-label={t("restore.planned")}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t("attributes.name")}</Table.Th>
              <Table.Th>{t("restore.saysNow")}</Table.Th>
              <Table.Th>{t("restore.willSay")}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {found.attributes.map(({ name, value, replaces }) => (
              <Table.Tr key={name}>
                <Table.Th scope="row" title={name}>
                  {words(name)}
                </Table.Th>
                <Table.Td className="anywhere" c="dimmed">
                  {replaces ? <Value value={replaces.value} /> : t("compare.notTold")}
                </Table.Td>
                <Table.Td className="anywhere" fw={550}>
                  <Value value={value} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {found.left_out.map(({ name, reason }) => (
        <Notice key={name} tone="warn" title={t("restore.leftOut", { name })}>
          {reason}
        </Notice>
      ))}
    </>
  );
}
