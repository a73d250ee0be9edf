import {
  IconAccessPoint,
  IconActivity,
  IconAddressBook,
  IconArrowsJoin,
  IconBan,
  IconBuilding,
  IconInbox,
  IconLayoutDashboard,
  IconMail,
  IconMathFunction,
  IconPlugConnected,
  IconUpload,
  IconUserOff,
  IconUsersGroup,
} from "@tabler/icons-react";

/** The pages that navigation, palette and shortcuts know; `key` follows a `g`. */
export const PAGES = [
  { to: "/", name: "overview", key: "o", icon: IconLayoutDashboard },
  { to: "/events", name: "events", key: "e", icon: IconActivity },
  { to: "/rejected", name: "rejected", key: "r", icon: IconBan },
  { to: "/sources", name: "sources", key: "s", icon: IconAccessPoint },
  { to: "/loads", name: "loads", key: "l", icon: IconUpload },
  { to: "/profiles", name: "profiles", key: "p", icon: IconAddressBook },
  { to: "/shared", name: "shared", key: "h", icon: IconUserOff },
  { to: "/matches", name: "matches", key: "d", icon: IconArrowsJoin },
  { to: "/traits", name: "traits", key: "t", icon: IconMathFunction },
  { to: "/audiences", name: "audiences", key: "a", icon: IconUsersGroup },
  { to: "/groups", name: "groups", key: "u", icon: IconBuilding },
  { to: "/crm", name: "crm", key: "c", icon: IconPlugConnected },
  { to: "/messages", name: "messages", key: "m", icon: IconMail },
  { to: "/inbox", name: "inbox", key: "i", icon: IconInbox },
] as const;
