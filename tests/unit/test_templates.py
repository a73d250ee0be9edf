"""Templates: checked where they are written, filled in for each person."""

from __future__ import annotations

import contextlib
import time
from decimal import Decimal

import pytest

from obverse.core.outgoing import Template
from obverse.core.templates import BadTemplate, CannotFillIn, CompiledTemplate

MJML = """<mjml>
  <mj-body>
    <mj-section><mj-column>
      <mj-text>{}</mj-text>
      <mj-button href="https://example.com/?who={{{{ customer.id | url_encode }}}}">Look</mj-button>
    </mj-column></mj-section>
  </mj-body>
</mjml>"""
ADA = {"first_name": 'Ada <b>&"', "id": "a/b", "lifetime_value": Decimal("1234.50")}


def template(subject: str = "Welcome", mjml: str = "", text: str = "") -> Template:
    return Template(name="welcome", subject=subject, sender="a@example.com", mjml=mjml, text=text)


def test_it_is_filled_in_for_a_person() -> None:
    welcome = CompiledTemplate(
        template(
            "Hello {{ customer.first_name | default: 'there' }}",
            MJML.format(
                "Dear {{ customer.first_name }}, {{ customer.lifetime_value }} {% if trigger.audience %}x{% endif %}"
            ),
        )
    )

    filled = welcome.fill_in(ADA, {"audience": "big_spenders"})

    assert filled.subject == 'Hello Ada <b>&"'
    assert "Dear Ada &lt;b&gt;&amp;&#34;, 1234.50 x" in filled.html
    assert "https://example.com/?who=a%2Fb" in filled.html
    assert "<mj-" not in filled.html
    assert 'Dear Ada <b>&", 1234.50 x' in filled.text
    assert "Look" in filled.text
    assert CompiledTemplate(template("{{ customer.nope | default: 'x' }}", text="a")).fill_in({}, {}).subject == "x"


def test_a_plain_part_of_its_own_is_used_as_it_is() -> None:
    filled = CompiledTemplate(template(text="Hi {{ customer.first_name }}")).fill_in(ADA, {})

    assert (filled.html, filled.text) == ("", 'Hi Ada <b>&"')


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("{{ customer.lifetime_value }} {{ customer.orders }} {{ customer.all[0] }}", "1234.50 3 0.10"),
        ("{{ customer.lifetime_value | round }} {{ customer.lifetime_value | ceil }}", "1234 1235"),
        ("{{ customer.lifetime_value | plus: 1 }} {{ customer.orders | plus: 1 }}", "1235.5 4"),
        ("{{ customer.all | sum }} {{ customer.all[0] | times: 10 }}", "0.3 1.0"),
        ("{% if customer.lifetime_value > 1000 %}big{% endif %} {{ customer.vast }}", "big 1E+400"),
    ],
)
def test_numbers_are_counted_with_and_written_with_their_own_digits(source: str, written: str) -> None:
    values = {"orders": Decimal(3), "all": [Decimal("0.10"), Decimal("0.20")], "vast": Decimal("1E+400")}
    for made in (template(text=source), template(mjml=MJML.format(source))):
        assert written in CompiledTemplate(made).fill_in({**ADA, **values}, {}).text


@pytest.mark.parametrize(
    ("part", "source", "place", "advice"),
    [
        ("mjml", MJML.format("<b>Hello"), "spec.mjml, line 4, column", "close every tag"),
        ("mjml", MJML.format("x").replace("</mj-column>", ""), "spec.mjml, line 6, column", "close every tag"),
        ("mjml", MJML.format("{{ customer.first_name"), "spec.mjml, line 4, column 39", "write {{ name }}"),
        ("mjml", MJML.format("{% if customer.first_name %}a"), "spec.mjml, line 8", "endif"),
        ("mjml", "hello", "spec.mjml", "cannot be read as MJML"),
        ("mjml", "<mjml><mj-body><mj-nope/></mj-body></mjml>", "spec.mjml, line 1, column 16", "components of MJML"),
        ("mjml", '<mjml><mj-body><mj-include path="/etc/passwd"/></mj-body></mjml>', "spec.mjml, line 1", "mj-include"),
        ("text", "a\n{% nope %}", "spec.text, line 2, column 4", "unexpected tag 'nope'"),
        ("text", "a\n{{ customer.a | nope }}", "spec.text, line 2, column 17", "no filter 'nope'"),
        ("text", "{{ person.name }}", "spec.text, line 1, column 4", "'person' is not known; there are customer"),
        ("text", "{% render 'x' %}", "spec.text, line 1, column 4", "cannot render others"),
        ("text", "{% include 'x' %}", "spec.text, line 1, column 4", "cannot include others"),
        ("subject", "{{ customer.a", "spec.subject, line 1, column 1", "close it"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_do(part: str, source: str, place: str, advice: str) -> None:
    parts = {"subject": "S", "text": "T", "mjml": ""} | {part: source}

    with pytest.raises(BadTemplate) as caught:
        CompiledTemplate(template(**parts))

    assert str(caught.value).startswith(place)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in (1..100000) %}a{% endfor %}",
        "{% for i in (1..9999) %}{{ customer.long }}{% endfor %}",
        "{{ customer.first_name | divided_by: 0 }}",
        "{{ customer.score | ceil }}",
        "{{ customer.long | base64_decode }}",
        "{{ customer.words | sum }}",
        "{% for one in customer.words limit: customer.less %}{{ one }}{% endfor %}",
    ],
)
def test_a_message_that_cannot_be_made_says_so(source: str) -> None:
    made = CompiledTemplate(template(text=source))

    with pytest.raises(CannotFillIn, match="template 'welcome'"):
        made.fill_in({"long": "x" * 1000, "first_name": 1, "score": "nan", "words": ["a", "b"], "less": -1}, {})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ customer.value | round }}", "1235"),
        ("{{ customer.value | round: 1 }}", "1234.6"),
        ("{{ customer.value | plus: 1 }}", "1235.56"),
        ("{{ 10 | minus: customer.count }}", "7"),
        ("{{ customer.count | times: 2 | divided_by: 2 }}", "3"),
        ("{{ customer.value | ceil | at_most: customer.count }}", "3"),
        ("{{ trigger.rows | map: 'price' | sum }} {{ trigger.rows | sum: 'price' }}", "3.75 3.75"),
    ],
)
def test_numbers_of_a_person_are_computed_with(source: str, said: str) -> None:
    made = CompiledTemplate(template(text=source))
    rows = [{"price": Decimal("1.25")}, {"price": Decimal("2.50")}]
    assert made.fill_in({"value": Decimal("1234.56"), "count": Decimal(3)}, {"rows": rows}).text == said


@pytest.mark.parametrize(
    "source",
    ["{% for i in (1..customer.stars) %}*{% endfor %}", "{{ 'abc' | slice: trigger.rows[0].at }}"],
)
def test_a_number_beyond_reach_is_not_counted_to(source: str) -> None:
    made, far, began = CompiledTemplate(template(text=source)), Decimal("1e300000"), time.process_time()
    with contextlib.suppress(CannotFillIn):
        made.fill_in({"stars": far}, {"rows": [{"at": far}]})
    assert time.process_time() - began < 1
    shown = CompiledTemplate(template(text="{{ customer.stars }} {{ customer.price }} {{ customer.none | plus: 1 }}"))
    values = {"stars": far, "price": Decimal("1.25"), "none": Decimal("0E-99999999999999")}
    assert shown.fill_in(values, {}).text == "1E+300000 1.25 1"


def test_tags_are_nested_so_deep_and_no_deeper() -> None:
    around = "<mjml><mj-body><mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section></mj-body></mjml>"
    many = "<br/><img src='>'/><!-- <b> -->" * 300
    CompiledTemplate(template(mjml=around.format("<div a='/'>" * 195 + many + "</div>" * 195)))

    for inner in ("<div>" * 300 + "</div>" * 300, "<div a='</div>'><!-- </div> -->" * 300 + "</div>" * 300):
        with pytest.raises(
            BadTemplate, match=r"^spec\.mjml, line 1, column \d+: tags are nested deeper than 200 levels"
        ):
            CompiledTemplate(template(mjml=around.format(inner)))


def test_templates_reach_nothing_but_what_they_are_given() -> None:
    made = CompiledTemplate(template(text="{{ customer.__class__ }}{{ customer.first_name.__class__.__mro__ }}"))

    assert made.fill_in({"first_name": "Ada"}, {}).text == ""
