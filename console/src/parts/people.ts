import type { Profile } from "../api/types";
import { plain } from "../format";

type Summary = {
  id?: string;
  profile?: string | null;
  name: string | null;
  email: string | null;
  identifiers?: { kind: string; value: string }[];
};

/** The best of what is known of a person: name, address, identifier, id. */
export function displayName(person: Summary): string {
  return person.name ?? person.email ?? person.identifiers?.[0]?.value ?? person.id ?? person.profile ?? "–";
}

/** The same of a whole profile, from its attributes. */
export function nameOf(profile: Profile): string {
  const told = (name: string): string | null => {
    const value = profile.attributes[name]?.value;
    return typeof value === "string" && value.trim() ? plain(value) : null;
  };
  const parts = [told("first_name") ?? told("firstName"), told("last_name") ?? told("lastName")];
  const full = parts.filter((part) => part !== null).join(" ");
  return (
    told("name") ??
    (full ||
      (told("email") ??
        profile.identifiers.find(({ kind }) => kind === "email")?.value ??
        profile.identifiers[0]?.value ??
        profile.id))
  );
}

/** What `/v1/profiles/{identifier}` takes: an address with `kind:value`, or with the bare id. */
export const asIdentifier = (id: string): string => (id.includes(":") ? id : `id:${id}`);
