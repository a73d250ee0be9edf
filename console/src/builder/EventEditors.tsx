// What people did, and one thing after another.
import { ActionIcon, Button } from "@mantine/core";
import { IconChevronDown, IconChevronUp, IconFilterPlus, IconPlus, IconX } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { ConditionEditor } from "./ConditionEditor";
import {
  type DidDraft,
  type EventsDraft,
  emptyQuery,
  emptyRule,
  emptyStep,
  NAMED,
  type SequenceDraft,
  type StepDraft,
} from "./drafts";
import { Choice, Count, Name, Span } from "./Fields";
import { useNames } from "./names";

const TYPES = ["track", "page", "screen", "identify", "group", "alias"] as const;
const MOST_STEPS = 10;
const HOW = ["at_least", "at_most", "exactly", "between"] as const;

type Editor<Draft> = { draft: Draft; onChange: (draft: Draft) => void };

/** Which events are meant: the call and its name. */
function Called<Draft extends EventsDraft>({ draft, onChange }: Editor<Draft>) {
  const { t } = useTranslation();
  const names = useNames();
  return (
    <>
      <Choice
        label={t("builder.call.label")}
        value={draft.type as (typeof TYPES)[number]}
        options={TYPES.map((value) => ({ value, label: t(`builder.call.${value}`) }))}
        onChange={(type) => onChange({ ...draft, type, event: NAMED.includes(type) ? draft.event : "" })}
      />
      {NAMED.includes(draft.type) && (
        <Name
          label={t("builder.event")}
          names={draft.type === "track" ? names.event : []}
          value={draft.event}
          onChange={(event) => onChange({ ...draft, event })}
        />
      )}
    </>
  );
}

/** The button that opens a condition on properties, and that condition. */
function Where<Draft extends EventsDraft>({ draft, onChange }: Editor<Draft>) {
  const { t } = useTranslation();
  if (draft.where === null) {
    return (
      <div>
        <Button
          size="compact-xs"
          variant="subtle"
          leftSection={<IconFilterPlus size={14} aria-hidden />}
          onClick={() => onChange({ ...draft, where: { ...emptyQuery(), rules: [emptyRule("property")] } })}
        >
          {t("builder.addWhere")}
        </Button>
      </div>
    );
  }
  return (
    <div className="builderWhere">
      <ConditionEditor
        of="event"
        label={t("builder.where")}
        query={draft.where}
        onChange={(where) => onChange({ ...draft, where: where.rules.length === 0 ? null : where })}
      />
    </div>
  );
}

export function DidEditor({ draft, onChange }: Editor<DidDraft>) {
  const { t } = useTranslation();
  return (
    <div className="builderEvents">
      <div className="builderLine">
        <Called draft={draft} onChange={onChange} />
        <Choice
          label={t("builder.how.label")}
          value={draft.how}
          options={HOW.map((value) => ({ value, label: t(`builder.how.${value}`) }))}
          onChange={(how) => onChange({ ...draft, how })}
        />
        {draft.how !== "at_most" && (
          <Count
            label={t(draft.how === "between" ? "builder.least" : "builder.times")}
            least={draft.how === "exactly" ? 0 : 1}
            value={draft.least}
            onChange={(least) => onChange({ ...draft, least })}
          />
        )}
        {(draft.how === "at_most" || draft.how === "between") && (
          <Count
            label={t(draft.how === "between" ? "builder.most" : "builder.times")}
            least={0}
            value={draft.most}
            onChange={(most) => onChange({ ...draft, most })}
          />
        )}
        <span className="builderWord">{t("builder.timesWithin")}</span>
        <Span
          label={t("builder.within")}
          ever={t("builder.anyTime")}
          value={draft.within}
          onChange={(within) => onChange({ ...draft, within })}
        />
      </div>
      <Where draft={draft} onChange={onChange} />
    </div>
  );
}

export function SequenceEditor({ draft, onChange }: Editor<SequenceDraft>) {
  const { t } = useTranslation();
  const { steps } = draft;
  const change = (place: number, step: StepDraft) =>
    onChange({ ...draft, steps: steps.map((one, at) => (at === place ? step : one)) });
  const swap = (place: number) => {
    const moved = [...steps];
    moved.splice(place, 2, ...moved.slice(place, place + 2).reverse());
    onChange({ ...draft, steps: moved });
  };
  return (
    <div className="builderEvents">
      <ol className="builderSteps" aria-label={t("builder.subject.sequence")}>
        {steps.map((step, place) => (
          <li key={step.key}>
            <div className="builderLine">
              <Choice
                label={t("builder.step.label", { number: place + 1 })}
                value={step.absent && place > 0 ? "not" : "did"}
                options={[
                  { value: "did", label: t(place === 0 ? "builder.step.first" : "builder.step.then") },
                  ...(place === 0 ? [] : [{ value: "not" as const, label: t("builder.step.not") }]),
                ]}
                onChange={(said) =>
                  change(place, {
                    ...step,
                    absent: said === "not",
                    within: said === "not" && step.within === "" ? "7 days" : step.within,
                  })
                }
              />
              <Called draft={step} onChange={(changed) => change(place, changed)} />
              {step.absent && place > 0 ? (
                <>
                  <span className="builderWord">{t("builder.for")}</span>
                  <Span
                    label={t("builder.within")}
                    value={step.within}
                    onChange={(within) => change(place, { ...step, within })}
                  />
                </>
              ) : (
                <>
                  <Count
                    label={t("builder.times")}
                    least={1}
                    value={step.times}
                    onChange={(times) => change(place, { ...step, times })}
                  />
                  {/* Of the first step it says how near to each other its events must be. */}
                  {place === 0 && step.times === "1" && step.within === "" ? (
                    <span className="builderWord">{t("builder.timesAlone")}</span>
                  ) : (
                    <>
                      <span className="builderWord">{t("builder.timesWithin")}</span>
                      <Span
                        label={t("builder.within")}
                        ever={t("builder.anyTime")}
                        value={step.within}
                        onChange={(within) => change(place, { ...step, within })}
                      />
                    </>
                  )}
                </>
              )}
              <span className="builderEnd">
                <Move
                  label={t("builder.step.up", { number: place + 1 })}
                  disabled={place === 0}
                  onClick={() => swap(place - 1)}
                >
                  <IconChevronUp size={15} />
                </Move>
                <Move
                  label={t("builder.step.down", { number: place + 1 })}
                  disabled={place === steps.length - 1}
                  onClick={() => swap(place)}
                >
                  <IconChevronDown size={15} />
                </Move>
                <Move
                  label={t("builder.step.remove", { number: place + 1 })}
                  disabled={steps.length <= 2}
                  onClick={() => onChange({ ...draft, steps: steps.filter((one) => one !== step) })}
                >
                  <IconX size={15} />
                </Move>
              </span>
            </div>
            <Where draft={step} onChange={(changed) => change(place, changed)} />
          </li>
        ))}
      </ol>
      <div className="builderLine">
        <Button
          size="compact-xs"
          variant="subtle"
          leftSection={<IconPlus size={14} aria-hidden />}
          disabled={steps.length >= MOST_STEPS}
          onClick={() => onChange({ ...draft, steps: [...steps, emptyStep()] })}
        >
          {t("builder.step.add")}
        </Button>
        <span className="builderWord">{t("builder.holdsFor")}</span>
        <Span
          label={t("builder.holdsFor")}
          ever={t("builder.forGood")}
          value={draft.within}
          onChange={(within) => onChange({ ...draft, within })}
        />
      </div>
    </div>
  );
}

function Move(props: { label: string; disabled: boolean; onClick: () => void; children: React.ReactNode }) {
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="sm"
      aria-label={props.label}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      {props.children}
    </ActionIcon>
  );
}
