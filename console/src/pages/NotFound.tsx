import { IconMapQuestion } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Page, Panel } from "../parts/Page";
import { Empty } from "../parts/States";

export function NotFound() {
  const { t } = useTranslation();
  return (
    <Page title={t("notFound.title")}>
      <Panel>
        <Empty icon={<IconMapQuestion size={22} />} title={t("notFound.nothing")}>
          <Link to="/" style={{ color: "var(--accent)" }}>
            {t("notFound.home")}
          </Link>
        </Empty>
      </Panel>
    </Page>
  );
}
