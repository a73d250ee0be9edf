import { Group, Text, Title } from "@mantine/core";
import { IconChevronLeft } from "@tabler/icons-react";
import { Link, type LinkProps, useLocation } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef } from "react";

let arrived = false;

/** A page's frame: its title in the window and in the heading, which takes the focus after navigation. */
export function Page(props: {
  title: string;
  about?: ReactNode;
  actions?: ReactNode;
  back?: { to: LinkProps["to"]; label: string; search?: LinkProps["search"] };
  children: ReactNode;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  const { pathname } = useLocation();
  useEffect(() => {
    document.title = `${props.title} · Obverse`;
  }, [props.title]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new address is a new page, even in the same component
  useEffect(() => {
    if (arrived) heading.current?.focus({ preventScroll: true });
    arrived = true;
  }, [pathname]);
  return (
    <>
      {props.back && (
        <Link to={props.back.to} search={props.back.search} className="crumb">
          <IconChevronLeft size={15} aria-hidden />
          {props.back.label}
        </Link>
      )}
      <Group justify="space-between" align="flex-end" gap="md" mb={20}>
        <div style={{ minWidth: 0 }}>
          <Title order={1} ref={heading} tabIndex={-1} style={{ overflowWrap: "anywhere" }}>
            {props.title}
          </Title>
          {props.about && (
            <Text c="dimmed" size="sm" mt={3} component="div">
              {props.about}
            </Text>
          )}
        </div>
        {props.actions}
      </Group>
      {props.children}
    </>
  );
}

/** A titled part of a page. */
export function Panel(props: {
  title?: ReactNode;
  aside?: ReactNode;
  flush?: boolean;
  children: ReactNode;
  label?: string;
  className?: string;
}) {
  return (
    <section className={props.className ? `panel ${props.className}` : "panel"} aria-label={props.label}>
      {props.title !== undefined && (
        <div className="panelHead">
          <Title order={2}>{props.title}</Title>
          {props.aside}
        </div>
      )}
      {props.flush ? props.children : <div className="panelBody">{props.children}</div>}
    </section>
  );
}
