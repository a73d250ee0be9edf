import { Kbd, Modal } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { openPalette } from "./Palette";
import { PAGES } from "./pages";

/** Milliseconds in which the letter must follow the `g`. */
const PATIENCE = 1_200;
const SHEET = "obverse:sheet";

export const openSheet = () => window.dispatchEvent(new Event(SHEET));

const writing = (target: EventTarget | null) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));

const covered = () => document.querySelector('[role="dialog"], [role="menu"]') !== null;

/** The keys that work everywhere, and the sheet that tells them. */
export function Shortcuts() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [sheet, setSheet] = useState(false);
  useEffect(() => {
    let since = Number.NEGATIVE_INFINITY;
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return;
      if ((event.metaKey || event.ctrlKey) && !event.altKey && event.key.toLowerCase() === "k") {
        event.preventDefault();
        openPalette();
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || writing(event.target) || covered()) return;
      const going = event.timeStamp - since < PATIENCE;
      since = Number.NEGATIVE_INFINITY;
      const page = going ? PAGES.find(({ key }) => key === event.key) : undefined;
      if (page) {
        event.preventDefault();
        void navigate({ to: page.to });
      } else if (event.key === "g") {
        since = event.timeStamp;
      } else if (event.key === "/") {
        event.preventDefault();
        const field = document.querySelector<HTMLInputElement>("#main [data-search]");
        if (field) field.focus();
        else openPalette();
      } else if (event.key === "?") {
        event.preventDefault();
        setSheet(true);
      }
    };
    const onSheet = () => setSheet(true);
    window.addEventListener("keydown", onKey);
    window.addEventListener(SHEET, onSheet);
    return () => {
      window.removeEventListener("keydown", onKey);
      window.removeEventListener(SHEET, onSheet);
    };
  }, [navigate]);
  const rows: [string, ReactNode][] = [
    [t("sheet.palette"), [<Kbd key="1">⌘ K</Kbd>, " ", <Kbd key="2">Ctrl K</Kbd>]],
    [t("sheet.search"), <Kbd key="1">/</Kbd>],
    [t("sheet.sheet"), <Kbd key="1">?</Kbd>],
    [t("sheet.close"), <Kbd key="1">Esc</Kbd>],
    ...PAGES.map(({ name, key }): [string, ReactNode] => [
      t("sheet.go", { page: t(`pages.${name}`) }),
      [<Kbd key="1">g</Kbd>, " ", <Kbd key="2">{key}</Kbd>],
    ]),
  ];
  return (
    <Modal
      opened={sheet}
      onClose={() => setSheet(false)}
      title={t("sheet.title")}
      closeButtonProps={{ "aria-label": t("action.close") }}
      centered
    >
      <table style={{ width: "100%", borderSpacing: "0 6px" }}>
        <tbody>
          {rows.map(([name, keys]) => (
            <tr key={name}>
              <th scope="row" style={{ fontWeight: 400, textAlign: "left" }}>
                {name}
              </th>
              <td style={{ textAlign: "right" }}>{keys}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Modal>
  );
}
