"""Text from outside stays text, wherever a report shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aurora.reports
from aurora.reports.page import environment
from aurora.services.report_alert import LONGEST
from tests.unit.reports.pages import Page, outcome, page, report

FOLDER = Path(aurora.reports.__file__).parent / "templates"

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '"><a href="javascript:alert(1)">x</a>',
    "' onmouseover='alert(1)",
    "</title></bdi></td></table></details><form action=https://evil.example><input name=q>",
    '<svg><use href="data:image/svg+xml,x"/></svg>',
    "<!-- -->--!><!DOCTYPE x><?php ?><![CDATA[x]]>",
    "&lt;b&gt; &amp;amp; &#60;script&#62;",
    "{{ 7 * 7 }} {% for x in y %} {# #} {{ report.__class__.__mro__ }}",
    "javascript:alert(1) data:text/html,x vbscript:x",
    "https://evil.example/?a=<b>",
    "\u202egpj.exe\u2066 \u200b\ufeff\u2029 \x1b]8;;https://evil.example\x07x\x1b[2J\x9b\x00",
    "\ud800\udfff lone halves",
    "<plaintext>",
    "<" * 300,
    "x" * 100_000,
    '"<\u202e' * 40_000,
]

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def made(text: str) -> Page:
    """A page in which each place from outside says `text`: alerts in full, alerts in a line, all around them."""
    alerts = [outcome(number, text, label=label) for number, label in enumerate(("malicious", "benign"), start=1)]
    return page(report(*alerts, text=text, full=1))


HARMLESS = made("x harmless")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_hostile_text_changes_no_tag_and_no_attribute(text):
    hostile = made("x" + text)

    assert hostile.tags == HARMLESS.tags


@settings(max_examples=25, deadline=None)
@given(st.text(st.sampled_from("<>\"'&/=-! {}%#;:`\\\x00\x1b\u202e\u200b\ud800xsvg\n"), max_size=60))
def test_any_mix_of_markup_changes_no_tag_and_no_attribute(text):
    assert made("x" + text).tags == HARMLESS.tags


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_nothing_in_a_page_hides_or_reorders_text(text):
    assert UNSAFE.search("".join(made("x" + text).texts)) is None


def test_hostile_text_is_readable_as_it_came():
    shown = made('x<script>alert("1")</script> {{ 7 * 7 }}').text

    assert shown.count('x<script>alert("1")</script> {{ 7 * 7 }}') > 20
    assert "49" not in shown


def test_a_long_value_is_cut_and_the_mark_says_how_long_it_was():
    text = "".join(made("y" * 100_000).texts)

    assert "… [cut; 100,000 characters in all]" in text
    assert max(map(len, re.findall("y+", text))) <= LONGEST + 100


def test_values_that_grow_when_they_are_cleaned_are_cut_after_it():
    text = "".join(made("\u202e" * 5000).texts)

    assert max(map(len, re.findall(r"(?:\\u202e)+", text))) <= LONGEST + 100


def test_no_link_leads_out_and_nothing_is_loaded():
    hostile = made('x" href="https://evil.example" src="//evil.example')

    assert {each[0] for each in hostile.all("href")} == {"#"}
    for name in ("src", "srcset", "action", "formaction", "background", "poster", "data", "xlink:href", "ping"):
        assert hostile.all(name) == []
    tags = {tag for tag, _ in hostile.tags}
    assert tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "use", "image"} == set()
    assert not [key for _, attrs in hostile.tags if isinstance(attrs, list) for key, _ in attrs if key.startswith("on")]
    policy = dict(next(attrs for tag, attrs in hostile.tags if tag == "meta" and len(attrs) == 2))
    assert "default-src 'none'" in policy["content"]


def test_no_template_switches_escaping_off_or_loads_anything():
    sources = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.html")}

    assert set(sources) == set(environment().list_templates()) >= {"report.html", "alert.html", "style.html"}
    for name, source in sources.items():
        assert re.search(r"\|\s*safe|autoescape|url\(|@import|https?:|//[a-z]", source) is None, name
    assert environment().autoescape is True


def test_no_attribute_of_a_template_holds_an_outside_value():
    """Escaping would hold; but what is in no attribute cannot break out of one."""
    ours = (
        r"label|value|kind|n|each\.label|each\.place|line\.label|one\.side|place|loop\.index"
        r"|case_numbers\[each\.case_id\]"
        r"|part\.\w+|bar\.\w+|drawn\.\w+|drawn\.\w+ [-+] \d+|[xy]|y \+ 4|anchor|value\|moment|.*\|round\(1\)"
        r"|\".*\" if .*|tally\.verdicts\[label, value\]|label\|words"
    )
    for file in FOLDER.glob("*.html"):
        for attribute in re.findall(r'\s[\w:-]+="([^"]*(?:\{\{.*?\}\}[^"]*)+)"', file.read_text(encoding="utf-8")):
            for expression in re.findall(r"\{\{ (.*?) \}\}", attribute):
                assert re.fullmatch(ours, expression), (file.name, expression)
