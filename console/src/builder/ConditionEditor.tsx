import { ActionIcon, Button, Checkbox } from "@mantine/core";
import { IconPlus, IconX } from "@tabler/icons-react";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import {
  type ActionProps,
  type CombinatorSelectorProps,
  type NotToggleProps,
  QueryBuilder,
  RuleGroupHeaderComponents,
  type RuleGroupProps,
  type RuleGroupTypeAny,
  type RuleType,
  type UseRuleGroup,
} from "react-querybuilder";
import { CountOf, type Of, OfProvider, useOf } from "./context";
import { emptyQuery, emptyRule, newId, type Query } from "./drafts";
import { Choice } from "./Fields";
import { RuleRow } from "./RuleRow";

/** A condition on people, or on the properties of an event, as a tree of tests that one edits. */
export function ConditionEditor(props: {
  of: Of;
  label: string;
  query: Query;
  onChange: (query: Query) => void;
}) {
  const fields = useMemo(() => [{ name: "trait", label: "trait" }], []);
  return (
    <OfProvider value={props.of}>
      <section className="builder" aria-label={props.label}>
        <QueryBuilder
          query={props.query}
          onQueryChange={props.onChange as (query: unknown) => void}
          enableMountQueryChange={false}
          showNotToggle
          fields={fields}
          idGenerator={newId}
          controlElements={CONTROLS}
          controlClassnames={CLASSES}
          onAddRule={(rule: RuleType) => ({
            ...emptyRule(props.of === "person" ? "trait" : "property"),
            id: rule.id,
          })}
          onAddGroup={(group: RuleGroupTypeAny) => ({
            ...emptyQuery(),
            id: group.id,
            combinator: "or",
            rules: [emptyRule(props.of === "person" ? "trait" : "property")],
          })}
        />
      </section>
    </OfProvider>
  );
}

function Joint({ value, handleOnChange }: CombinatorSelectorProps) {
  const { t } = useTranslation();
  return (
    <Choice
      label={t("builder.joint")}
      value={value === "or" ? "or" : "and"}
      options={[
        { value: "and", label: t("condition.all") },
        { value: "or", label: t("condition.any") },
      ]}
      onChange={handleOnChange}
    />
  );
}

function Not({ checked, handleOnChange }: NotToggleProps) {
  const { t } = useTranslation();
  return (
    <Checkbox
      size="xs"
      label={t("builder.not")}
      checked={checked ?? false}
      onChange={(event) => handleOnChange(event.currentTarget.checked)}
    />
  );
}

function AddRule({ handleOnClick }: ActionProps) {
  const { t } = useTranslation();
  const of = useOf();
  return (
    <Button size="compact-xs" leftSection={<IconPlus size={13} aria-hidden />} onClick={handleOnClick}>
      {t(of === "person" ? "builder.addRule" : "builder.addProperty")}
    </Button>
  );
}

function AddGroup({ handleOnClick }: ActionProps) {
  const { t } = useTranslation();
  return (
    <Button size="compact-xs" leftSection={<IconPlus size={13} aria-hidden />} onClick={handleOnClick}>
      {t("builder.addGroup")}
    </Button>
  );
}

function RemoveGroup({ handleOnClick }: ActionProps) {
  const { t } = useTranslation();
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="sm"
      aria-label={t("builder.removeGroup")}
      onClick={handleOnClick}
    >
      <IconX size={15} />
    </ActionIcon>
  );
}

function Header(group: RuleGroupProps & UseRuleGroup) {
  return (
    <>
      <RuleGroupHeaderComponents {...group} />
      <span className="builderTotal">
        <CountOf id={(group.ruleGroup as Query).id} />
      </span>
    </>
  );
}

const CONTROLS = {
  rule: RuleRow,
  combinatorSelector: Joint,
  notToggle: Not,
  addRuleAction: AddRule,
  addGroupAction: AddGroup,
  removeGroupAction: RemoveGroup,
  ruleGroupHeaderElements: Header,
};
const CLASSES = { ruleGroup: "builderGroup", header: "builderHead", body: "builderBody" };
