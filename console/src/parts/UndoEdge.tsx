import { ActionIcon, Button, Group, Modal, Text, TextInput, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconArrowsSplit2 } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api } from "../api/client";
import type { Edge } from "../api/types";
import { explain } from "./States";

const PATIENCE = 30_000;
const LOOK = 500;

/** Takes an edge back: what it alone held together becomes two profiles. */
export function UndoEdge({ edge }: { edge: Edge }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [sure, setSure] = useState(false);
  const [why, setWhy] = useState("");
  const undo = useMutation({
    mutationFn: async () => {
      const body = { one: edge.a, other: edge.b, why };
      const asked = await answer(api.POST("/v1/identity/unmerge", { body }));
      return await becomeOf(asked.id);
    },
    onSuccess: async ({ status, detail }) => {
      setSure(false);
      const color = status === "refused" ? "red" : "verdigris";
      notifications.show({ message: detail ?? t("undo.waiting"), color, autoClose: false });
      await queries.invalidateQueries();
    },
    onError: (error) => {
      const { detail, remedy } = explain(error);
      notifications.show({ title: detail, message: remedy, color: "red", autoClose: false });
    },
  });
  return (
    <>
      <Tooltip label={t("undo.open")}>
        <ActionIcon
          variant="subtle"
          aria-label={t("undo.openFor", { one: edge.a, other: edge.b })}
          onClick={() => setSure(true)}
        >
          <IconArrowsSplit2 size={16} />
        </ActionIcon>
      </Tooltip>
      <Modal
        opened={sure}
        onClose={() => setSure(false)}
        title={t("undo.title")}
        closeButtonProps={{ "aria-label": t("action.close") }}
        centered
      >
        <div className="mono anywhere">{edge.a}</div>
        <div className="mono anywhere">{edge.b}</div>
        <Text size="sm" my="sm">
          {t("undo.about")}
        </Text>
        <TextInput
          label={t("undo.why")}
          value={why}
          maxLength={1000}
          onChange={(event) => setWhy(event.currentTarget.value)}
        />
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button onClick={() => setSure(false)}>{t("action.cancel")}</Button>
          <Button variant="filled" loading={undo.isPending} onClick={() => undo.mutate()}>
            {t("undo.do")}
          </Button>
        </Group>
      </Modal>
    </>
  );
}

/** The request once it is done or refused; as it waits, if the worker does not get to it. */
async function becomeOf(id: string) {
  const until = Date.now() + PATIENCE;
  while (true) {
    const request = await answer(api.GET("/v1/identity/requests/{id}", { params: { path: { id } } }));
    if (request.status !== "waiting" || Date.now() > until) return request;
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}
