"""A prompt says who it is."""

from __future__ import annotations

import hashlib

import pytest

from aurora.kernel.errors import ContentInvalid
from aurora.sdk.prompt import read_prompt

GOOD = "---\nid: triage\nversion: 1.2\n---\nYou are an analyst.\n"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "prompt.md"


def test_a_prompt_has_an_id_a_version_and_the_hash_of_its_file(file) -> None:
    file.write_text(GOOD)

    prompt = read_prompt(file)

    assert (prompt.id, prompt.version, prompt.text) == ("triage", "1.2", "You are an analyst.")
    assert prompt.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    assert prompt.reference == f"triage@1.2#{prompt.sha256[:12]}"


def test_another_word_is_another_prompt(file) -> None:
    file.write_text(GOOD)
    before = read_prompt(file).reference

    file.write_text(GOOD.replace("an analyst", "a careful analyst"))

    assert read_prompt(file).reference != before


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("You are an analyst.", "has no head"),
        ("---\nid: a\n---\ntext", "lacks version"),
        ("---\nid: a\nid: b\nversion: 1\n---\ntext", "once each"),
        ("---\nid: a\nversion: 1\nmood: good\n---\ntext", "mood"),
        ("---\nid: a\nversion: 1\n---\n  \n", "no text"),
    ],
)
def test_a_prompt_that_does_not_say_who_it_is_is_refused(file, text, fault) -> None:
    file.write_text(text)

    with pytest.raises(ContentInvalid, match=fault):
        read_prompt(file)


def test_a_prompt_that_is_not_there_is_named(file) -> None:
    with pytest.raises(ContentInvalid, match="prompt.md does not exist"):
        read_prompt(file)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_prompt_may_be_written_on_windows(file, mark) -> None:
    file.write_bytes(mark + GOOD.replace("\n", "\r\n").encode())

    assert read_prompt(file).text == "You are an analyst."
