import { useTranslation } from "react-i18next";
import type { Connection } from "../api/types";
import { Status, type Tone } from "./Bits";

const TONES: Record<Connection["state"], Tone> = {
  ok: "good",
  waiting: "warn",
  unreachable: "bad",
  refused: "bad",
};

export function ConnectionStatus({ state }: { state: Connection["state"] }) {
  const { t } = useTranslation();
  return <Status tone={TONES[state] ?? "idle"}>{t(`crm.state.${state}`)}</Status>;
}
