import { ActionIcon, AppShell, Burger, Group, Kbd, Text, UnstyledButton } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { Account } from "./Account";
import { Brand } from "./Brand";
import { openPalette, Palette } from "./Palette";
import { PAGES } from "./pages";
import { Shortcuts } from "./Shortcuts";

const MAC = /mac|iphone|ipad/i.test(navigator.userAgent);

export function Shell() {
  const { t } = useTranslation();
  const [open, { toggle, close }] = useDisclosure(false);
  const { pathname } = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the drawer closes when the address changes
  useEffect(close, [pathname]);
  useHotkeys([["Escape", close]]);
  return (
    <>
      <a className="skip" href="#main">
        {t("shell.skip")}
      </a>
      <AppShell
        header={{ height: { base: 54, md: 0 } }}
        navbar={{ width: 228, breakpoint: "md", collapsed: { mobile: !open } }}
        padding={0}
      >
        <AppShell.Header hiddenFrom="md" px="sm" bg="var(--page)">
          <Group h="100%" justify="space-between" wrap="nowrap">
            <Group gap={10} wrap="nowrap">
              <Burger
                opened={open}
                onClick={toggle}
                size="sm"
                aria-label={t(open ? "shell.closeMenu" : "shell.openMenu")}
                aria-expanded={open}
              />
              <Link to="/" className="brand">
                <Brand />
                Obverse
              </Link>
            </Group>
            <ActionIcon
              variant="subtle"
              color="gray"
              size="lg"
              onClick={openPalette}
              aria-label={t("palette.open")}
            >
              <IconSearch size={20} />
            </ActionIcon>
          </Group>
        </AppShell.Header>
        <AppShell.Navbar
          data-closed={!open || undefined}
          p="sm"
          bg="var(--page)"
          style={{ borderColor: "var(--line)" }}
          aria-label={t("shell.navigation")}
        >
          <Link to="/" className="brand phoneHideBrand" style={{ padding: "8px 8px 16px" }}>
            <Brand />
            Obverse
          </Link>
          <UnstyledButton className="jump" onClick={openPalette} aria-keyshortcuts="Meta+K Control+K">
            <IconSearch size={16} aria-hidden />
            <Text size="sm" component="span" flex={1}>
              {t("palette.jump")}
            </Text>
            <Kbd size="xs">{MAC ? "⌘K" : "Ctrl K"}</Kbd>
          </UnstyledButton>
          <div style={{ display: "grid", gap: 2, marginTop: 12 }}>
            {PAGES.map(({ to, name, key, icon: Icon }) => (
              <Link
                key={to}
                to={to}
                className="navLink"
                activeOptions={{ exact: to === "/", includeSearch: false }}
                aria-keyshortcuts={`g ${key}`}
              >
                <Icon size={18} stroke={1.7} aria-hidden />
                {t(`pages.${name}`)}
              </Link>
            ))}
          </div>
          <div style={{ marginTop: "auto" }}>
            <Account />
          </div>
        </AppShell.Navbar>
        <AppShell.Main id="main" tabIndex={-1}>
          <div className="content">
            <Outlet />
          </div>
        </AppShell.Main>
      </AppShell>
      <Palette />
      <Shortcuts />
    </>
  );
}
