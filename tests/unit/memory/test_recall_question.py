"""What of a question is searched for, whatever it holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memory.recall.question import MOST_WORDS, coverage, in_scope, question, rarest, rarity
from memory.recall.words import stem, words
from memory.terms import exact_terms

TEXTS = st.text(max_size=200) | st.lists(
    st.sampled_from(
        ['"', "'", "*", "^", "(", ")", "{", "}", ":", "-", "+", "AND", "OR", "NOT", "NEAR(", "scope", "\x00"]
    ),
    max_size=20,
).map(" ".join)

ENDINGS = [
    *("ational", "tional", "enci", "izer", "logi", "bli", "alli", "ousli", "ization", "ator", "alism", "iveness"),
    *("biliti", "icate", "ative", "alize", "ful", "ness", "ement", "ment", "ent", "ion", "ou", "ism", "ize", "eed"),
    *("ed", "ing", "at", "bl", "iz", "ies", "sses", "s", "ss", "e", "ll", "y"),
]


@pytest.fixture(scope="module")
def index() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE memory_text USING fts5(scope, text, terms, tokenize='porter unicode61')")
    connection.execute("CREATE VIRTUAL TABLE memory_words USING fts5vocab(memory_text, row)")
    connection.execute("INSERT INTO memory_text VALUES ('tours', 'a scanner was approved', '')")
    connection.execute("INSERT INTO memory_text VALUES ('ttheirs', 'another scanner was approved', '')")
    yield connection
    connection.close()


@given(TEXTS)
@example('" OR scope : ttheirs OR "')
@example('scanner" OR "approved')
@example("x\x00y\ud800")
def test_no_question_breaks_the_syntax_or_leaves_its_tenant(index, text):
    asked = question(text)
    terms = [*asked.words.values(), *asked.exact, text]  # the raw text too: quoting alone must hold
    expression = in_scope("tours", terms).encode("utf-8", "replace").decode()

    found = index.execute("SELECT rowid FROM memory_text WHERE memory_text MATCH ?", (expression,)).fetchall()

    assert found in ([], [(1,)])


@given(
    st.text(
        alphabet=st.characters(max_codepoint=0x17E, exclude_characters="µ") | st.sampled_from("ếờữằяжйΩ語한"),
        max_size=60,
    )
)
@example("Ti\u1ebfng Vi\u1ec7t")
def test_words_and_stems_are_those_of_the_index(text):
    with sqlite3.connect(":memory:") as index:
        index.execute("CREATE VIRTUAL TABLE t USING fts5(text, tokenize='porter unicode61')")
        index.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, row)")
        index.execute("INSERT INTO t VALUES (?)", (text,))
        indexed = {term for (term,) in index.execute("SELECT term FROM v")}
    index.close()

    assert {stem(word) for word in words(text)} == indexed


@given(
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=6),
    st.lists(st.sampled_from(ENDINGS), max_size=2),
)
@example("eed", [])
def test_endings_are_taken_off_as_the_index_does(beginning, endings):
    word = beginning + "".join(endings)
    with sqlite3.connect(":memory:") as index:
        index.execute("CREATE VIRTUAL TABLE t USING fts5(text, tokenize='porter unicode61')")
        index.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, row)")
        index.execute("INSERT INTO t VALUES (?)", (word,))
        indexed = index.execute("SELECT term FROM v").fetchone()
    index.close()

    assert (stem(word),) == indexed


def test_words_that_say_nothing_are_not_asked_for_unless_there_are_no_others():
    assert [*question("Who was the admin of it?").words.values()] == ["admin"]
    assert [*question("to be or not to be").words.values()] == ["to", "be", "or", "not"]


def test_an_address_is_one_exact_value_and_its_parts_are_no_words():
    asked = question("spraying from 203[.]0[.]113[.]7, again")

    assert [*asked.exact] == exact_terms("203.0.113.7").split()
    assert [*asked.exact.values()] == ["203[.]0[.]113[.]7"]
    assert "113" not in asked.words


def test_a_question_without_a_word_is_empty():
    assert question('?! "" * ').is_empty


def test_a_long_question_is_asked_in_part():
    assert len(question(" ".join(f"word{n}" for n in range(500))).words) == MOST_WORDS


def test_of_frequent_words_only_the_rarest_are_searched_for():
    frequencies = {f"w{n}": 1000 * n for n in range(20)}

    chosen = rarest(frequencies, fewest=2, budget=5_000)

    assert chosen == ["w0", "w1", "w2"]


def test_where_all_words_are_rare_all_are_searched_for():
    frequencies = dict.fromkeys(map(str, range(30)), 3)

    assert len(rarest(frequencies, fewest=2, budget=100)) == 30


def test_the_fewest_are_searched_for_however_frequent_they_are():
    assert rarest({"a": 10**6, "b": 10**7, "c": 10**8}, fewest=2, budget=0) == ["a", "b"]


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_word_never_counts_against_an_item(frequency, of):
    assert rarity(frequency, of=of) > 0


def test_an_item_covers_the_share_of_words_it_has_the_rare_ones_more():
    asked = question("approved scanner from 203.0.113.7")
    (token,) = asked.exact
    rarities = {"approv": 3.0, "scanner": 1.0, token: 4.0}

    some = coverage(asked, rarities, "the SCANNERS were seen by 203.0.113.7")
    whole = coverage(asked, rarities, "approved: scanner 203.0.113.7")
    none = coverage(asked, rarities, "203.0.113.70 is something else")

    assert (some.share, some.has, some.exact) == (5 / 8, ("scanner",), ("203.0.113.7",))
    assert whole.share == 1.0
    assert none.share == 0.0
