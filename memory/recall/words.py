"""Words as the text index has them: folded, without accents, reduced to their stems."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

# A word is what SQLite's `unicode61` takes for one: letters and digits of any script.
_WORD = re.compile(r"[^\W_]+")
_LONGEST_STEMMED = 64
_SHORTEST_STEMMED = 3
_ACCENTED = 2

EMPTY = frozenset(
    [
        *("a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "before", "but"),
        *("by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "his", "how"),
        *("i", "if", "in", "into", "is", "it", "its", "me", "my", "no", "not", "of", "on", "or", "our", "she", "so"),
        *("than", "that", "the", "their", "them", "then", "there", "they", "this", "to", "us", "was", "we", "were"),
        *("what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your"),
    ]
)
"""Words that say nothing of what a text is about."""


def words(text: str) -> list[str]:
    """Return the words of a text in their order, folded and without accents."""
    if not text.isascii():
        text = "".join(map(_folded, text))
    return _WORD.findall(text.lower())


@lru_cache(maxsize=5_000)
def _folded(char: str) -> str:
    """Return a Latin letter without its accent. One with two accents keeps both, as in the index."""
    if unicodedata.combining(char):
        return ""
    parts = unicodedata.normalize("NFD", char)
    return parts[0] if len(parts) == _ACCENTED and parts[0].isascii() else char


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return what a word is indexed as on SQLite: "An algorithm for suffix stripping" (Porter, 1980).

    Args:
        word: As `words` returns it.
    """
    if not _SHORTEST_STEMMED <= len(word) <= _LONGEST_STEMMED:
        return word
    word = _plural(word)
    word = _past(word)
    if word.endswith("y") and _has_vowel(word[:-1]):
        word = word[:-1] + "i"
    word = _replaced(word, _SECOND, least=0)
    word = _replaced(word, _THIRD, least=0)
    word = _without(word)
    return _last(word)


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    if word.endswith("eed") and word != "eed":
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        if word.endswith(ending) and _has_vowel(cut := word[: -len(ending)]):
            break
    else:
        return word
    if cut.endswith(("at", "bl", "iz")):
        return cut + "e"
    if _is_doubled(cut) and cut[-1] not in "lsz":
        return cut[:-1]
    return cut + "e" if _measure(cut) == 1 and _is_short(cut) else cut


_SECOND = {
    "ational": "ate",
    "tional": "tion",
    "enci": "ence",
    "anci": "ance",
    "izer": "ize",
    "logi": "log",
    "bli": "ble",
    "alli": "al",
    "entli": "ent",
    "eli": "e",
    "ousli": "ous",
    "ization": "ize",
    "ation": "ate",
    "ator": "ate",
    "alism": "al",
    "iveness": "ive",
    "fulness": "ful",
    "ousness": "ous",
    "aliti": "al",
    "iviti": "ive",
    "biliti": "ble",
}
_THIRD = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
_FOURTH = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate"),
    *("iti", "ous", "ive", "ize"),
)


def _replaced(word: str, endings: dict[str, str], *, least: int) -> str:
    for ending, new in endings.items():
        if word.endswith(ending):
            cut = word[: -len(ending)]
            return cut + new if _measure(cut) > least else word
    return word


def _without(word: str) -> str:
    for ending in _FOURTH:
        if word.endswith(ending):
            cut = word[: -len(ending)]
            if ending == "ion" and not cut.endswith(("s", "t")):
                return word
            return cut if _measure(cut) > 1 else word
    return word


def _last(word: str) -> str:
    if word.endswith("e"):
        cut = word[:-1]
        measure = _measure(cut)
        if measure > 1 or (measure == 1 and not _is_short(cut)):
            word = cut
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


def _vowels(word: str) -> list[bool]:
    """Tell of each letter whether it is a vowel; a `y` is one after a consonant."""
    found: list[bool] = []
    for char in word:
        found.append(char in "aeiou" or (char == "y" and bool(found) and not found[-1]))
    return found


def _has_vowel(word: str) -> bool:
    return any(_vowels(word))


def _measure(word: str) -> int:
    """Return how often a consonant follows a vowel."""
    vowels = _vowels(word)
    return sum(before and not after for before, after in pairwise(vowels))


def _is_doubled(word: str) -> bool:
    return len(word) > 1 and word[-1] == word[-2] and not _vowels(word)[-1]


def _is_short(word: str) -> bool:
    """Tell whether it ends in consonant, vowel, consonant, the last none of w, x, y."""
    return len(word) > 2 and _vowels(word)[-3:] == [False, True, False] and word[-1] not in "wxy"
