"""Why an item was recalled, in one sentence for people. Pure."""

from __future__ import annotations

from datetime import timedelta

from aurora.kernel.untrusted import quoted
from memory.items import Item
from memory.recall.question import Coverage

_SHOWN = 3
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def why(item: Item, *, covered: Coverage, asked: int, cosine: float | None, is_alike: bool, age: timedelta) -> str:
    """Return the sentence.

    Args:
        item: What was recalled.
        covered: What it has of the question.
        asked: Words of the question.
        cosine: Of its vector and the question's; `None`: there is none.
        is_alike: Whether that is more than any two texts have.
        age: How old it is.
    """
    said = []
    if covered.exact:
        said.append(f"has {_listed(covered.exact)}")
    if covered.has:
        said.append(f"has {len(covered.has)} of {asked} words ({_listed(covered.has)})")
    if cosine is not None and is_alike:
        said.append(f"reads alike (cosine {cosine:.2f})")
    if not said:
        said.append("is the nearest there is")
    return f"{'; '.join(said)}; {_age(age)}, trusted as {item.trust.name.lower()}"


def _listed(values: tuple[str, ...]) -> str:
    shown = [quoted(value, limit=60) for value in values[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else "")


def _age(age: timedelta) -> str:
    for unit, name in ((_DAY, "day"), (_HOUR, "hour")):
        if age >= unit:
            count = age // unit
            return f"{count} {name}{'s' if count > 1 else ''} old"
    return "new"
