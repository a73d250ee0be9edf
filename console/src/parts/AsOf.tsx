import { Button, Group, Slider, Text, TextInput } from "@mantine/core";
import { IconArrowForwardUp } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { pastProfileQuery } from "../api/queries";
import type { Profile } from "../api/types";
import { asInput, fromInput, instant } from "../format";
import { Restore } from "./Restore";
import { Notice } from "./States";

const STEPS = 1000;

/** When a profile is looked at: on a slider from its first event to now, or as a date. Undefined is now. */
export function AsOf(props: {
  identifier: string;
  /** As it is now. */
  profile: Profile;
  asOf: string | undefined;
  onChange: (asOf: string | undefined) => void;
}) {
  const { t } = useTranslation();
  const { asOf, onChange } = props;
  // As of its last change it is as it is now; what is asked for is since when it is known.
  const known = useQuery(pastProfileQuery(props.identifier, props.profile.changed_at));
  const start = new Date(known.data?.past?.known_from ?? props.profile.changed_at).getTime();
  const end = new Date(props.profile.changed_at).getTime() + 1000;
  const placeOf = (time: string | undefined) =>
    time === undefined
      ? STEPS
      : Math.min(STEPS, Math.max(0, ((Date.parse(time) - start) / (end - start)) * STEPS));
  const timeAt = (place: number) => new Date(start + ((end - start) * place) / STEPS).toISOString();
  const [place, setPlace] = useState(placeOf(asOf));
  // biome-ignore lint/correctness/useExhaustiveDependencies: the slider follows the address, and the hand until it lets go
  useEffect(() => setPlace(placeOf(asOf)), [asOf, start]);
  return (
    <section className="panel" aria-label={t("past.title")} style={{ marginBottom: 16 }}>
      <div className="panelBody">
        <Group gap="lg" align="flex-end">
          <div style={{ flex: "1 1 260px", minWidth: 0 }}>
            <Text size="xs" c="dimmed" mb={6}>
              {asOf === undefined ? t("past.now") : t("past.at", { time: instant(asOf) })}
            </Text>
            <Slider
              min={0}
              max={STEPS}
              value={place}
              disabled={known.data === undefined || end - start <= 1000}
              thumbLabel={t("past.slider")}
              thumbProps={{
                "aria-valuetext": place >= STEPS ? t("past.now") : instant(timeAt(place)),
              }}
              label={(value) => (value >= STEPS ? t("past.now") : instant(timeAt(value)))}
              onChange={setPlace}
              onChangeEnd={(value) => onChange(value >= STEPS ? undefined : timeAt(value))}
            />
          </div>
          <TextInput
            type="datetime-local"
            step={1}
            label={t("past.date")}
            value={asOf === undefined ? "" : asInput(asOf)}
            onChange={(event) => onChange(fromInput(event.currentTarget.value))}
          />
          {asOf !== undefined && (
            <Button
              variant="default"
              leftSection={<IconArrowForwardUp size={16} />}
              onClick={() => onChange(undefined)}
            >
              {t("past.backToNow")}
            </Button>
          )}
        </Group>
      </div>
    </section>
  );
}

/** Says that what is shown below is over, and what is to be known of it. */
export function Past({ profile, identifier }: { profile: Profile; identifier: string }) {
  const { t } = useTranslation();
  const { past } = profile;
  if (past === undefined) return null;
  return (
    <div style={{ marginBottom: 16 }}>
      <Notice tone="warn" role="status" title={t("past.shown", { time: instant(past.as_of) })}>
        {t("past.about")}
        {!past.complete &&
          ` ${past.kept_from ? t("past.keptFrom", { time: instant(past.kept_from) }) : t("past.nothingKept")}`}
        {past.merged.length > 0 && (
          <div>
            {t("past.apart")}{" "}
            {past.merged.map((id) => (
              <Link
                key={id}
                to="/profiles/$id"
                params={{ id: `id:${id}` }}
                search={{ as_of: past.as_of }}
                className="chip mono"
              >
                {id}
              </Link>
            ))}
          </div>
        )}
        {past.now !== profile.id && (
          <div>
            {t("past.becamePartOf")}{" "}
            <Link to="/profiles/$id" params={{ id: `id:${past.now}` }} className="chip mono">
              {past.now}
            </Link>
          </div>
        )}
        <Group mt={8}>
          <Restore identifier={identifier} asOf={past.as_of} />
        </Group>
      </Notice>
    </div>
  );
}
