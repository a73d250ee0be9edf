"""The properties that every HubSpot account has for its contacts: those that integrations use most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from obverse.sandboxes.hubspot.definitions import Definition, Option

# In the order in which a contact passes through them.
STAGES: Final = {
    "subscriber": "Subscriber",
    "lead": "Lead",
    "marketingqualifiedlead": "Marketing Qualified Lead",
    "salesqualifiedlead": "Sales Qualified Lead",
    "opportunity": "Opportunity",
    "customer": "Customer",
    "evangelist": "Evangelist",
    "other": "Other",
}
_LEAD_STATUSES: Final = {
    "NEW": "New",
    "OPEN": "Open",
    "IN_PROGRESS": "In Progress",
    "OPEN_DEAL": "Open Deal",
    "UNQUALIFIED": "Unqualified",
    "ATTEMPTED_TO_CONTACT": "Attempted to Contact",
    "CONNECTED": "Connected",
    "BAD_TIMING": "Bad Timing",
}
_YES_NO: Final = {"true": "Yes", "false": "No"}
# 2019-08-06T02:41:08.029Z, as in HubSpot's own examples.
_MADE_AT: Final = 1565059268029


def _options(labels: Mapping[str, str]) -> tuple[Option, ...]:
    return tuple(Option(label=label, value=value, display_order=at) for at, (value, label) in enumerate(labels.items()))


def _text(name: str, label: str, field: str = "text") -> Definition:
    return Definition(
        name=name, label=label, type="string", field_type=field, hubspot_defined=True, created_at=_MADE_AT
    )


def _choice(name: str, label: str, labels: Mapping[str, str], field: str = "radio") -> Definition:
    return Definition(
        name=name,
        label=label,
        type="enumeration",
        field_type=field,
        options=_options(labels),
        hubspot_defined=True,
        created_at=_MADE_AT,
    )


def _number(name: str, label: str) -> Definition:
    return Definition(
        name=name, label=label, type="number", field_type="number", hubspot_defined=True, created_at=_MADE_AT
    )


def _kept(name: str, label: str, kind: str, field: str) -> Definition:
    """One that HubSpot keeps itself."""
    return Definition(
        name=name,
        label=label,
        type=kind,
        field_type=field,
        options=_options(_YES_NO) if kind == "bool" else (),
        form_field=False,
        hubspot_defined=True,
        read_only=True,
        created_at=_MADE_AT,
    )


_EMAIL: Final = Definition(
    name="email",
    label="Email",
    type="string",
    field_type="text",
    description="A contact's email address",
    has_unique_value=True,
    hubspot_defined=True,
    created_at=_MADE_AT,
)

DEFAULTS: Final[Mapping[str, Definition]] = {
    definition.name: definition
    for definition in (
        _EMAIL,
        _text("firstname", "First Name"),
        _text("lastname", "Last Name"),
        _text("salutation", "Salutation"),
        _text("phone", "Phone Number", "phonenumber"),
        _text("mobilephone", "Mobile Phone Number", "phonenumber"),
        _text("fax", "Fax Number"),
        _text("company", "Company Name"),
        _text("jobtitle", "Job Title"),
        _text("website", "Website URL"),
        _text("address", "Street Address"),
        _text("city", "City"),
        _text("state", "State/Region"),
        _text("zip", "Postal Code"),
        _text("country", "Country/Region"),
        _text("industry", "Industry"),
        _text("message", "Message", "textarea"),
        _text("date_of_birth", "Date of birth"),
        _text("gender", "Gender"),
        _text("hs_language", "Preferred language"),
        _text("hs_additional_emails", "Additional email addresses"),
        _text("twitterhandle", "Twitter Username"),
        _text("linkedinbio", "LinkedIn Bio"),
        _text("hubspot_owner_id", "Contact owner"),
        _number("annualrevenue", "Annual Revenue"),
        _number("numemployees", "Number of Employees"),
        _number("total_revenue", "Total Revenue"),
        _choice("lifecyclestage", "Lifecycle Stage", STAGES),
        _choice("hs_lead_status", "Lead Status", _LEAD_STATUSES),
        _choice("hs_email_optout", "Unsubscribed from all email", _YES_NO, "booleancheckbox"),
        Definition(
            name="closedate",
            label="Close Date",
            type="datetime",
            field_type="date",
            hubspot_defined=True,
            created_at=_MADE_AT,
        ),
        _kept("createdate", "Create Date", "datetime", "date"),
        _kept("lastmodifieddate", "Last Modified Date", "datetime", "date"),
        _kept("hs_object_id", "Record ID", "number", "number"),
        _kept("hs_all_contact_vids", "All vids for a contact", "string", "text"),
        _kept("hs_email_domain", "Email Domain", "string", "text"),
        _kept("hs_is_contact", "Is a contact", "bool", "booleancheckbox"),
        _kept("hs_object_source", "Record creation source", "string", "text"),
        _kept("hs_object_source_id", "Record creation source ID", "string", "text"),
    )
}
