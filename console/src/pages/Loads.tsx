import { Button, FileButton, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconFileImport, IconUpload } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { loadsQuery } from "../api/queries";
import type { Load } from "../api/types";
import { count } from "../format";
import { When } from "../parts/Bits";
import { LoadStatus } from "../parts/LoadStatus";
import { Page, Panel } from "../parts/Page";
import { Rows } from "../parts/Rows";
import { Empty, explain, Loaded } from "../parts/States";

export function Loads() {
  const { t } = useTranslation();
  const query = useQuery(loadsQuery);
  const upload = useUpload();
  const most = query.data?.most_bytes;
  return (
    <Page
      title={t("loads.title")}
      about={
        <>
          {t("loads.about")} {most !== undefined && t("loads.most", { size: count(most / 2 ** 20) })}
        </>
      }
      actions={
        <FileButton
          onChange={(file) => file && upload.mutate(file)}
          inputProps={{ "aria-label": t("loads.upload") }}
        >
          {(props) => (
            <Button {...props} leftSection={<IconUpload size={16} />} loading={upload.isPending}>
              {t("loads.upload")}
            </Button>
          )}
        </FileButton>
      }
    >
      <Panel label={t("loads.title")} flush>
        <Loaded query={query}>
          {({ loads }) =>
            loads.length === 0 ? (
              <Empty icon={<IconFileImport size={22} />} title={t("loads.none")}>
                {t("loads.noneAbout")}
              </Empty>
            ) : (
              <Listed loads={loads} />
            )
          }
        </Loaded>
      </Panel>
    </Page>
  );
}

/** Sends a file as the browser reads it, and opens what was found out of it. */
function useUpload() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: async (file: File): Promise<Load> => {
      const address = `/v1/loads?name=${encodeURIComponent(file.name)}`;
      let answered: Response;
      try {
        answered = await fetch(address, { method: "POST", body: file, credentials: "same-origin" });
      } catch {
        throw new ApiError(0, {});
      }
      const told = await answered.json().catch(() => ({}));
      if (!answered.ok) throw new ApiError(answered.status, told);
      return told;
    },
    onSuccess: async (load) => {
      await queries.invalidateQueries({ queryKey: ["loads"] });
      await navigate({ to: "/loads/$id", params: { id: load.id } });
    },
    onError: (error) => {
      const { detail, remedy } = explain(error);
      notifications.show({ title: detail, message: remedy, color: "red", autoClose: false });
    },
  });
}

function Listed({ loads }: { loads: Load[] }) {
  const { t } = useTranslation();
  return (
    <Rows
      label={t("loads.title")}
      rows={loads}
      rowKey={({ id }) => id}
      linked
      columns={[
        {
          name: t("loads.file"),
          cell: (load) => (
            <>
              <Link
                to="/loads/$id"
                params={{ id: load.id }}
                className="rowLink"
                style={{ overflowWrap: "anywhere" }}
              >
                {load.name}
              </Link>
              {load.message && (
                <Text size="xs" c="dimmed" lineClamp={1}>
                  {load.message}
                </Text>
              )}
            </>
          ),
        },
        { name: t("loads.state"), cell: (load) => <LoadStatus state={load.state} /> },
        { name: t("loads.rows"), number: true, cell: (load) => count(load.taken) },
        { name: t("loads.refused"), number: true, wide: true, cell: (load) => count(load.refused) },
        {
          name: t("loads.size"),
          number: true,
          wide: true,
          cell: (load) => t("loads.bytes", { size: count(Math.ceil(load.size / 1024)) }),
        },
        { name: t("loads.made"), wide: true, cell: (load) => <When at={load.made_at} /> },
      ]}
    />
  );
}
