"""How much of what answers a question is recalled, with text and vectors together and with each alone. No model judges.

Conversations: questions about long chats, and the turns that hold the evidence. Alerts: what an alert says, and the
ATT&CK techniques that it shows, among the 689 whose description is in the set; alerts whose technique has none are not
asked about.

Chosen on these same questions, so that others may do a little worse: `Mix.alpha` (of .3 to .7), the bounds of likeness
and the floor, the number of candidates, and how much of BM25's length and repetition counts (of none, half and all).
"""

from __future__ import annotations

import json
import lzma
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from aurora.kernel.clock import SystemClock
from aurora.kernel.errors import MissingExtra
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import Uuid7Factory
from memory.connections import Database, open_database
from memory.embed.open import open_embedder
from memory.items import NewItem, Source, Tier
from memory.memory import Memory
from memory.ports import Embedder
from memory.recall import Recall, Request
from memory.recall.fusion import Mix
from tests.bench.measurement import Measurement
from tests.scenario.open_data import FOLDER

TOP = 10
_FILES = ("retrieval/conversations.json.xz", "retrieval/alerts_to_techniques.jsonl", "cti/attack_enterprise.json.xz")
_DETAILS = {"recall": "evidence recall@10", "hit": "evidence hit@10", "ndcg": "nDCG@10"}


@dataclass(frozen=True, slots=True)
class Set:
    """Texts, and questions about them."""

    texts: Mapping[str, str]
    """By name."""
    questions: Sequence[tuple[str, frozenset[str]]]
    """And the names of the texts that answer."""


class Once:
    """An embedder that embeds each text once."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[str, Any] = {}
        self.name = embedder.name
        self.dimensions = embedder.dimensions

    async def embed(self, texts: Sequence[str]) -> Any:
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        if fresh:
            self._known.update(zip(fresh, await self._embedder.embed(fresh), strict=True))
        return np.stack([self._known[text] for text in texts])


async def run() -> list[Measurement]:
    """Measure each embedder that is installed."""
    if missing := [name for name in _FILES if not (FOLDER / name).exists()]:
        print(f"NOT MEASURED: retrieval quality; no {', '.join(missing)} in OPEN_DATA", file=sys.stderr)
        return []
    results: list[Measurement] = []
    for name in ("minilm", "hashing"):
        try:
            embedder = Once(open_embedder(name))
        except MissingExtra as fault:
            print(f"NOT MEASURED: retrieval quality with {name}; {fault}", file=sys.stderr)
            continue
        for title, sets, wanted in (
            ("conversations", conversations(), ("recall", "hit", "ndcg")),
            ("alerts", [alerts()], ("ndcg", "hit")),
        ):
            found = await _measure(sets, embedder)
            results += [
                Measurement(
                    name=f"memory.quality.{title}.{metric}.{name}.beside_{alone}",
                    value=round(found["both"][metric], 3),
                    unit=_DETAILS[metric],
                    better="higher",
                    peer=peer,
                    peer_value=round(found[alone][metric], 3),
                )
                for metric in wanted
                for alone, peer in (("text", "text alone (BM25)"), ("vectors", "vectors alone"))
            ]
    return results


def conversations() -> list[Set]:
    """Return the conversations, each a memory of its own; of questions those with evidence and one answer."""
    with lzma.open(FOLDER / _FILES[0], "rt", encoding="utf-8") as file:
        return [_conversation(each) for each in json.load(file)]


def _conversation(told: Mapping[str, Any]) -> Set:
    texts = {}
    for name, session in told.items():
        if re.fullmatch(r"session_\d+", name):
            for turn in session:
                shown = f" [shares {turn['blip_caption']}]" if turn.get("blip_caption") else ""
                texts[turn["dia_id"]] = f"{turn['speaker']}: {turn['text']}{shown}"
    questions = []
    for each in told["qa"]:
        evidence = {name for said in each.get("evidence") or () for name in re.findall(r"D\d+:\d+", said)}
        if each["category"] in (1, 2, 3, 4) and evidence & texts.keys():
            questions.append((each["question"], frozenset(evidence & texts.keys())))
    return Set(texts, questions)


def alerts() -> Set:
    """Return the techniques that are described, and the alerts that show one of them."""
    with lzma.open(FOLDER / _FILES[2], "rt", encoding="utf-8") as file:
        techniques = json.load(file)["techniques"]
    texts = {each["id"]: f"{each['name']}. {each['description']}" for each in techniques if each.get("description")}
    lines = (FOLDER / _FILES[1]).read_text(encoding="utf-8").splitlines()
    asked = [(each["text"], frozenset(each["techniques"]) & texts.keys()) for each in map(json.loads, lines)]
    return Set(texts, [(text, answers) for text, answers in asked if answers])


async def _measure(sets: Sequence[Set], embedder: Once) -> Mapping[str, Mapping[str, float]]:
    """Return the mean of each metric over all questions, for each way to search."""
    mix = Mix.of(embedder.name)
    ways = {
        "both": mix,
        "text": Mix(alpha=0.0, unlike=mix.unlike, alike=mix.alike),
        "vectors": Mix(alpha=1.0, unlike=mix.unlike, alike=mix.alike),
    }
    scores: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
    with TemporaryDirectory() as directory:
        async with open_database(f"sqlite:///{Path(directory) / 'memory.db'}") as transactions:
            for number, each in enumerate(sets):
                memory, names = await _remembered(transactions, each, embedder, tenant=f"set-{number}")
                for way, weights in ways.items():
                    recall = Recall(
                        tenant=memory.tenant,
                        clock=memory.clock,
                        embedder=embedder,
                        searches=memory.searches,
                        mix=weights,
                    )
                    for question, answers in each.questions:
                        # Alone, neither has a floor that was made for it; together they have the one people get.
                        floor = {} if way == "both" else {"floor": 0.0}
                        request = Request(query=question, limit=TOP, **floor)
                        hits = (await recall.recall(transactions, request)).items
                        scores[way].append(_scored([names[hit.item.id] for hit in hits], answers))
    return {
        way: dict(zip(("recall", "hit", "ndcg"), np.mean(found, axis=0).tolist(), strict=True))
        for way, found in scores.items()
    }


async def _remembered(
    transactions: Database, each: Set, embedder: Once, *, tenant: str
) -> tuple[Memory, Mapping[Any, frozenset[str]]]:
    """Return a memory of the texts, and for each item the names of the texts that it stands for."""
    clock = SystemClock()
    memory = Memory(transactions, tenant=tenant, clock=clock, ids=Uuid7Factory(clock=clock), embedder=embedder)
    items = [
        NewItem(
            tier=Tier.EPISODIC,
            kind="thread",
            text=text,
            sources=(Source(uri=f"message:{name}", provenance=Provenance.SENSOR),),
        )
        for name, text in each.texts.items()
    ]
    names: dict[Any, frozenset[str]] = {}
    for name, kept in zip(each.texts, await memory.remember(items, actor="bench"), strict=True):
        names[kept.id] = names.get(kept.id, frozenset()) | {name}
    return memory, names


def _scored(found: Sequence[frozenset[str]], answers: frozenset[str]) -> tuple[float, float, float]:
    """Return recall, hit and nDCG of what was found, the best first."""
    there = frozenset[str]().union(*found) & answers
    gain = sum(1 / math.log2(place + 2) for place, names in enumerate(found[:TOP]) if names & answers)
    best = sum(1 / math.log2(place + 2) for place in range(min(TOP, len(answers))))
    return len(there) / len(answers), float(bool(there)), gain / best
