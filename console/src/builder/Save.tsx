// Saving what was built: into force at once, as a definition of the console's.
import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconDeviceFloppy } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ApiError, answer, api } from "../api/client";
import { writeJson } from "../api/exact";
import type { DefinitionDocument } from "../api/types";
import { explain, Notice } from "../parts/States";

/** The condition of an audience's document. */
export const whereOf = ({ document }: DefinitionDocument): unknown =>
  (document.spec as { where?: unknown } | undefined)?.where;

type Metadata = { labels?: Record<string, string> };

export function Save(props: {
  name: string;
  about: string;
  where: unknown;
  stored: DefinitionDocument | undefined;
  whole: boolean;
  onFailed: (error: unknown) => void;
}) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { name, stored } = props;
  const work = useMutation({
    mutationFn: () =>
      answer(
        api.PUT("/v1/definitions/{kind}/{name}", {
          params: { path: { kind: "audience", name } },
          headers: stored ? { "If-Match": `"${stored.changed_in}"` } : {},
          body: {
            description: props.about,
            labels: (stored?.document.metadata as Metadata | undefined)?.labels ?? {},
            spec: { where: props.where },
          },
          bodySerializer: (body) => writeJson(body),
        }),
      ),
    onMutate: () => props.onFailed(null),
    onError: props.onFailed,
    onSuccess: () => {
      notifications.show({
        message: t("builder.saved", { name }),
        color: "verdigris",
        closeButtonProps: { "aria-label": t("action.close") },
      });
      queries.removeQueries({ queryKey: ["definitions", "one", "audience", name] });
      void queries.invalidateQueries({ queryKey: ["definitions"] });
      void navigate({ to: "/definitions/$kind/$name", params: { kind: "audience", name } });
    },
  });
  return (
    <Button
      size="compact-xs"
      variant="filled"
      leftSection={<IconDeviceFloppy size={14} aria-hidden />}
      disabled={name === "" || !props.whole}
      loading={work.isPending}
      title={name === "" ? t("builder.nameFirst") : props.whole ? undefined : t("builder.wholeFirst")}
      onClick={() => work.mutate()}
    >
      {t("builder.save")}
    </Button>
  );
}

/** Why it was not saved: each flaw with its place in the definition, or what stands in the way. */
export function NotSaved({ error }: { error: unknown }) {
  const { t } = useTranslation();
  const { detail, remedy } = explain(error);
  const flaws = error instanceof ApiError ? (error.problem.errors ?? []) : [];
  return (
    <div style={{ marginBottom: 12 }}>
      <Notice tone="bad" role="alert" title={flaws.length > 0 ? t("builder.flawed") : detail}>
        {flaws.length === 0 ? (
          remedy
        ) : (
          <ul style={{ margin: 0, paddingInlineStart: 18, overflowWrap: "anywhere" }}>
            {flaws.map(({ where, message }) => (
              <li key={`${where} ${message}`}>
                {where && <b>{where}: </b>}
                {message}
              </li>
            ))}
          </ul>
        )}
      </Notice>
    </div>
  );
}
