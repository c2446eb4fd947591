"""PATH arguments become the files they mean, each once."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from aurora.ingest.reading import discover
from aurora.kernel.errors import SourceUnreadable


def _names(*paths: str | Path, base: Path) -> list[str]:
    return [os.path.relpath(source.name, base) for source in discover([str(path) for path in paths], stdin=None)]


def _touch(base: Path, *names: str) -> None:
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text("{}")


def test_a_directory_gives_its_files_sorted_recursive_and_without_hidden_ones(tmp_path: Path) -> None:
    _touch(tmp_path, "b.json", "a/z.json", "a/b/c.json", ".hidden", ".git/config", "c.json")

    names = _names(tmp_path, base=tmp_path)

    assert names == ["a/b/c.json", "a/z.json", "b.json", "c.json"]


def test_paths_keep_the_given_order_and_a_file_under_two_names_is_read_once(tmp_path: Path) -> None:
    _touch(tmp_path, "a.json", "b.json")
    (tmp_path / "link.json").symlink_to(tmp_path / "b.json")

    names = _names(tmp_path / "b.json", tmp_path, tmp_path / "a.json", base=tmp_path)

    assert names == ["b.json", "a.json"]


def test_a_loop_of_symbolic_links_ends_and_a_dead_link_is_passed_over(tmp_path: Path) -> None:
    _touch(tmp_path, "d/a.json")
    (tmp_path / "d" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "d" / "dead").symlink_to(tmp_path / "nothing")

    names = _names(tmp_path, base=tmp_path)

    assert names == ["d/a.json"]


def test_a_pattern_gives_its_matches_sorted_directories_included(tmp_path: Path) -> None:
    _touch(tmp_path, "2.json", "1.json", "x.txt", "10.json/deep.log")

    names = _names(tmp_path / "*.json", base=tmp_path)

    assert names == ["1.json", "10.json/deep.log", "2.json"]


def test_a_file_whose_name_looks_like_a_pattern_is_taken_as_it_is(tmp_path: Path) -> None:
    _touch(tmp_path, "[1].json", "1.json")

    names = _names(tmp_path / "[1].json", base=tmp_path)

    assert names == ["[1].json"]


def test_a_dash_is_standard_input_without_a_known_size() -> None:
    stream = io.BytesIO(b"{}")

    sources = discover(["-", "-"], stdin=stream)

    assert [(source.name, source.size_bytes, source.stream) for source in sources] == [("-", None, stream)]


def test_a_file_name_that_is_no_utf8_is_read_under_a_printable_name(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.json"
    Path(os.fsdecode(path)).write_bytes(b"{}")

    [source] = discover([str(tmp_path)], stdin=None)

    assert source.name.endswith("caf\N{REPLACEMENT CHARACTER}.json")
    with source.open() as stream:
        assert stream.read(2) == b"{}"


@pytest.mark.parametrize(
    ("path", "said"),
    [("missing.json", "no such file"), ("*.none", "no file matches"), ("empty", "holds no file"), ("-", "standard")],
)
def test_what_leads_to_nothing_is_an_error_that_names_it(
    path: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()

    with pytest.raises(SourceUnreadable, match=said) as caught:
        discover([path], stdin=None)

    assert caught.value.context["path"] == path


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_an_error_before_anything_is_read(tmp_path: Path) -> None:
    _touch(tmp_path, "a.json", "secret.json")
    (tmp_path / "secret.json").chmod(0)

    with pytest.raises(SourceUnreadable, match=r"secret\.json.*permission"):
        discover([str(tmp_path)], stdin=None)
