import { ActionIcon, Group, Menu, Text, Tooltip, UnstyledButton, useMantineColorScheme } from "@mantine/core";
import {
  IconApi,
  IconCheck,
  IconDeviceDesktop,
  IconKeyboard,
  IconLogout,
  IconMoon,
  IconSelector,
  IconSun,
  IconUserCircle,
} from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { answer, api } from "../api/client";
import { sessionQuery } from "../api/queries";
import { openSheet } from "./Shortcuts";

const SCHEMES = [
  { value: "auto", icon: IconDeviceDesktop },
  { value: "light", icon: IconSun },
  { value: "dark", icon: IconMoon },
] as const;

/** Who is signed in, the colours, and the way out. */
export function Account() {
  const { t } = useTranslation();
  const session = useQuery(sessionQuery);
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const signOut = useMutation({
    mutationFn: () => answer(api.DELETE("/v1/session")),
    onSuccess: async () => {
      await navigate({ to: "/sign-in" });
      queries.clear();
    },
  });
  return (
    <Group gap={4} wrap="nowrap" justify="space-between">
      <Menu position="top-start" width={220}>
        <Menu.Target>
          <UnstyledButton className="navLink" flex={1} miw={0}>
            <IconUserCircle size={18} stroke={1.7} aria-hidden />
            <Text component="span" size="sm" truncate flex={1}>
              {session.data?.name ?? t("shell.account")}
            </Text>
            <IconSelector size={15} aria-hidden />
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{t("scheme.title")}</Menu.Label>
          {SCHEMES.map(({ value, icon: Icon }) => (
            <Menu.Item
              key={value}
              leftSection={<Icon size={16} />}
              rightSection={
                colorScheme === value ? <IconCheck size={15} aria-label={t("scheme.chosen")} /> : null
              }
              onClick={() => setColorScheme(value)}
            >
              {t(`scheme.${value}`)}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item component="a" href="/docs" leftSection={<IconApi size={16} />}>
            {t("shell.docs")}
          </Menu.Item>
          <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => signOut.mutate()}>
            {t("shell.signOut")}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Tooltip label={t("sheet.title")}>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          onClick={openSheet}
          aria-label={t("sheet.title")}
          aria-keyshortcuts="?"
        >
          <IconKeyboard size={18} stroke={1.7} />
        </ActionIcon>
      </Tooltip>
    </Group>
  );
}
