"""One place builds models: from `provider:name`, without retries, with its key told to nobody."""

from __future__ import annotations

import importlib.util
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from aurora.kernel.errors import ConfigError, MissingExtra
from aurora.llm import factory
from aurora.llm.factory import build_model, key_of
from aurora.llm.prices import free, price_of, unknown
from aurora.llm.providers import PROVIDERS, provider_of
from aurora.llm.transport import is_local
from aurora.settings import ModelSettings

VARIABLES = [each.variable for each in PROVIDERS if each.variable]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def test_a_name_is_split_at_the_first_colon() -> None:
    assert provider_of("ollama:qwen3:8b")[1] == "qwen3:8b"


@pytest.mark.parametrize("name", ["nobody:gpt", "openai:", "openai: "])
def test_an_unknown_provider_is_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        provider_of(name)

    assert all(each.id in caught.value.message for each in PROVIDERS)


@pytest.mark.parametrize("provider", [each for each in PROVIDERS if each.needs_key], ids=lambda each: each.id)
def test_a_missing_key_names_the_variables(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "is_installed", lambda _: True)

    with pytest.raises(ConfigError) as caught:
        build_model(ModelSettings(name=f"{provider.id}:some"))

    for variable in (provider.variable, "AURORA_MODEL__API_KEY", "AURORA_MODEL__API_KEY_FILE"):
        assert variable in caught.value.message


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.id)
def test_a_missing_package_is_told_with_the_command(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(MissingExtra, match=rf"pip install 'aurora-soc\[{provider.extra}\]'"):
        build_model(ModelSettings(name=f"{provider.id}:some"))


def test_a_providers_own_key_is_for_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    openai, _ = provider_of("openai:gpt")

    assert key_of(openai, ModelSettings()).get_secret_value() == "sk-canary"
    assert key_of(openai, ModelSettings(url="https://api.openai.com/v1/")) is not None
    assert key_of(openai, ModelSettings(url="https://api.openai.com.evil.example/v1")) is None
    assert key_of(openai, ModelSettings(url="http://127.0.0.1:8080/v1")) is None


def test_the_key_of_another_address_is_never_left_to_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is given none reads the environment by itself, and sends the key to any address."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary")
    given: dict[str, Any] = {}
    pretend(monkeypatch, "ChatAnthropic", given)

    build_model(ModelSettings(name="anthropic:claude", url="https://proxy.example/"))

    assert given["api_key"].get_secret_value() == "none"
    assert given["max_retries"] == 0


def test_clients_of_others_follow_no_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's takes its key along to whatever host a server names, Anthropic's takes the prompt."""
    given: dict[str, Any] = {}
    http = pretend(monkeypatch, "ChatAnthropic", given)
    build_model(ModelSettings(name="anthropic:claude", api_key="sk-canary"))
    assert http.follow_redirects is False

    pretend(monkeypatch, "ChatGoogleGenerativeAI", given)
    build_model(ModelSettings(name="google:gemini", api_key="sk-canary"))
    assert given["client_args"] == {"follow_redirects": False}


def pretend(monkeypatch: pytest.MonkeyPatch, name: str, given: dict[str, Any]) -> Any:
    """Install a client that notes what it is given; return its HTTP client, made as that of Anthropic is."""
    http = SimpleNamespace(follow_redirects=True)

    def client(**options: Any) -> Any:
        given.update(options)
        return SimpleNamespace(_async_client=SimpleNamespace(_client=http))

    monkeypatch.setattr(factory, "is_installed", lambda _: True)
    monkeypatch.setattr(factory.importlib, "import_module", lambda _: SimpleNamespace(**{name: client}))
    return http


def test_no_model_is_told_how_to_name_one() -> None:
    with pytest.raises(ConfigError, match="--model"):
        build_model(ModelSettings())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:8080/v1", True),
        ("http://127.8.9.1/v1", True),
        ("http://[::1]:8000/", True),
        ("http://127.0.0.1.evil.example/", False),
        ("https://localhost.evil.example/", False),
        ("http://user:127.0.0.1@evil.example/", False),
        ("http://10.0.0.1/", False),
        ("nonsense", False),
    ],
)
def test_this_machine_is_known_by_its_address(url: str, expected: bool) -> None:  # noqa: FBT001 - a row of a table
    assert is_local(url) is expected


def test_prices_come_from_a_table_and_are_unknown_beyond_it() -> None:
    cost = price_of("openai", "gpt-4o-mini")(1_000_000, 0)

    assert cost is not None
    assert Decimal(0) < cost < Decimal(100)
    assert price_of("openai", "no-such-model") is unknown
    assert free(10**9, 10**9) == 0


def test_prices_do_without_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "genai_prices", None)

    assert price_of("openai", "gpt-4o-mini") is unknown
