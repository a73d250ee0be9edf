import { useDebouncedValue } from "@mantine/hooks";
import { Spotlight, spotlight } from "@mantine/spotlight";
import { IconSearch, IconUser } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api } from "../api/client";
import { PAGES } from "./pages";

export const openPalette = () => spotlight.open();

/** ⌘K: every page, and every person by the beginning of an identifier. */
export function Palette() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [asked] = useDebouncedValue(text.trim(), 150);
  const found = useQuery({
    queryKey: ["palette", asked],
    queryFn: ({ signal }) =>
      answer(api.GET("/v1/profiles", { signal, params: { query: { q: asked, limit: 6 } } })),
    enabled: asked !== "",
    placeholderData: (before) => before,
  });
  const wanted = text.trim().toLowerCase();
  const pages = PAGES.filter(({ name }) => t(`pages.${name}`).toLowerCase().includes(wanted));
  const people = wanted ? (found.data?.profiles ?? []) : [];
  return (
    <Spotlight.Root
      query={text}
      onQueryChange={setText}
      shortcut={null}
      scrollable
      maxHeight={420}
      radius="md"
      transitionProps={{ duration: 100 }}
      clearQueryOnClose
    >
      <Spotlight.Search
        placeholder={t("palette.placeholder")}
        aria-label={t("palette.placeholder")}
        leftSection={<IconSearch size={18} />}
      />
      <Spotlight.ActionsList>
        {pages.length > 0 && (
          <Spotlight.ActionsGroup label={t("palette.pages")}>
            {pages.map(({ to, name, icon: Icon }) => (
              <Spotlight.Action
                key={to}
                label={t(`pages.${name}`)}
                leftSection={<Icon size={18} stroke={1.7} />}
                onClick={() => void navigate({ to })}
              />
            ))}
          </Spotlight.ActionsGroup>
        )}
        {people.length > 0 && (
          <Spotlight.ActionsGroup label={t("palette.profiles")}>
            {people.map((person) => (
              <Spotlight.Action
                key={person.id}
                label={person.name ?? person.email ?? person.identifiers[0]?.value ?? person.id}
                description={person.identifiers
                  .slice(0, 2)
                  .map(({ kind, value }) => `${kind}:${value}`)
                  .join("   ")}
                leftSection={<IconUser size={18} stroke={1.7} />}
                onClick={() => void navigate({ to: "/profiles/$id", params: { id: person.id } })}
              />
            ))}
          </Spotlight.ActionsGroup>
        )}
        {pages.length + people.length === 0 && (
          <Spotlight.Empty>{t(found.isFetching ? "palette.searching" : "palette.nothing")}</Spotlight.Empty>
        )}
      </Spotlight.ActionsList>
    </Spotlight.Root>
  );
}
