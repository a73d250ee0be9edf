import { useTranslation } from "react-i18next";
import type { Message } from "../api/types";
import { Status, type Tone } from "./Bits";

const TONES: Record<Message["status"], Tone> = {
  queued: "idle",
  waiting: "warn",
  sending: "idle",
  sent: "good",
  refused: "bad",
  unknown: "warn",
};

export function MessageStatus({ status }: { status: Message["status"] }) {
  const { t } = useTranslation();
  return <Status tone={TONES[status] ?? "idle"}>{t(`messages.status.${status}`)}</Status>;
}
