import { useTranslation } from "react-i18next";
import { Status, type Tone } from "./Bits";

const TONES = { uploaded: "idle", running: "warn", stopped: "idle", done: "good", failed: "bad" } as const;

export function LoadStatus({ state }: { state: string }) {
  const { t } = useTranslation();
  const known = state as keyof typeof TONES;
  const tone: Tone = TONES[known] ?? "idle";
  return <Status tone={tone}>{t(`loads.as.${known}`)}</Status>;
}
