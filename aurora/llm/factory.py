"""The only place that builds a chat model."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from aurora.kernel.errors import ConfigError, MissingExtra
from aurora.llm.prices import Price, free, price_of, unknown
from aurora.llm.providers import Provider, provider_of
from aurora.llm.transport import PLAIN_HEADERS, bounded_client, is_local
from aurora.settings import ModelSettings

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

KEY_VARIABLE = "AURORA_MODEL__API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltModel:
    """A chat model, and what is known of it before it is asked anything."""

    chat: BaseChatModel = field(repr=False)
    provider: Provider
    model: str
    url: str | None
    price: Price = field(repr=False)
    http: Any = field(default=None, repr=False)
    """Its HTTP client, where it is ours: bounded, and closed by `aclose`."""

    async def aclose(self) -> None:
        """Close its connections."""
        if self.http is not None:
            await self.http.aclose()


def is_installed(provider: Provider) -> bool:
    """Return whether the client of a provider can be imported."""
    return importlib.util.find_spec(provider.module) is not None


def key_of(provider: Provider, settings: ModelSettings) -> SecretStr | None:
    """Return the key to use: the one that is set, or the provider's own, which goes to the provider alone."""
    if settings.api_key is not None:
        return settings.api_key
    if provider.variable is None or not _is_home(provider, settings.url):
        return None
    text = os.environ.get(provider.variable, "").strip()
    return SecretStr(text) if text else None


def build_model(settings: ModelSettings) -> BuiltModel:
    """Build the chat model that the settings name. Its client never retries: whoever asks does.

    Raises:
        ConfigError: no model is named, its provider is unknown, or its key is missing.
        MissingExtra: the package of its provider is not installed; the message has the command.
    """
    if settings.name is None:
        raise ConfigError("no model is configured: name one with --model provider:name or AURORA_MODEL__NAME")
    provider, model = provider_of(settings.name)
    if not is_installed(provider):
        raise MissingExtra(
            f"models of {provider.id} need a package that is not installed: pip install 'aurora-soc[{provider.extra}]'",
            extra=provider.extra,
        )
    key = key_of(provider, settings)
    if key is None and provider.needs_key and _is_home(provider, settings.url):
        raise ConfigError(
            f"models of {provider.id} need a key: set {provider.variable} or {KEY_VARIABLE}, "
            f"or {KEY_VARIABLE}_FILE to the path of a file that holds it",
            provider=provider.id,
        )
    url = settings.url or provider.url
    price = _price(provider, model, settings.url)
    kind = getattr(importlib.import_module(provider.module), provider.class_name)
    if provider.wire == "openai":
        assert url is not None
        chat, http = _openai(kind, model, url, key, settings)
        return BuiltModel(chat=chat, provider=provider, model=model, url=url, price=price, http=http)
    if provider.wire != "bedrock" and key is None:
        key = SecretStr("none")  # left out, the client would send the provider's own key to wherever the URL points
    try:
        chat = kind(**_OPTIONS[provider.wire](model, settings.url, key, settings))
    except ValueError as error:
        # Pydantic shows what it was given, and the key is among it.
        raise ConfigError(
            f"the client of {provider.id} does not accept these settings ({type(error).__name__})", provider=provider.id
        ) from None
    if provider.wire == "anthropic":
        # Its client would follow a redirect and take the alert along, and has no option against that.
        chat._async_client._client.follow_redirects = False  # noqa: SLF001 - see above
    return BuiltModel(chat=chat, provider=provider, model=model, url=url, price=price)


def _is_home(provider: Provider, url: str | None) -> bool:
    return url is None or (provider.url is not None and url.rstrip("/") == provider.url)


def _price(provider: Provider, model: str, url: str | None) -> Price:
    where = url or provider.url
    if where is not None and is_local(where):
        return free
    return price_of(provider.prices, model) if provider.prices and _is_home(provider, url) else unknown


def _openai(
    kind: Any, model: str, url: str, key: SecretStr | None, settings: ModelSettings
) -> tuple[BaseChatModel, Any]:
    # The library under the installed SDK: httpx2 from openai 3 on, httpx before.
    sdk = int(str(importlib.import_module("openai").__version__).partition(".")[0])
    httpx = importlib.import_module("httpx2" if sdk >= 3 else "httpx")
    is_openai = url.rstrip("/") == "https://api.openai.com/v1"
    http = bounded_client(
        httpx,
        url=url,
        max_bytes=settings.max_answer_bytes,
        deadline=settings.deadline,
        headers=None if is_openai else PLAIN_HEADERS,
    )
    chat = kind(
        model=model,
        base_url=url,
        api_key=_handed_out(key),
        http_async_client=http,
        openai_proxy=None,  # left out, the environment's would be taken; ours is in the client
        max_retries=0,
        timeout=settings.deadline.total_seconds(),
        # OpenAI knows this name only; of the others not all know it yet, and all know the older one.
        **({"max_completion_tokens": settings.max_output_tokens} if is_openai else {}),
        **({} if is_openai else {"extra_body": {"max_tokens": settings.max_output_tokens}}),
        use_responses_api=False,
        cache=False,
    )
    return chat, http


def _handed_out(key: SecretStr | None) -> Callable[[], Awaitable[str]]:
    """Return the key as a function, so that no client keeps it, and the synchronous one is not even built."""

    async def current() -> str:
        return key.get_secret_value() if key is not None else "none"

    return current


def _anthropic(model: str, url: str | None, key: SecretStr | None, settings: ModelSettings) -> dict[str, Any]:
    return {
        "model": model,
        "api_key": key,
        **({"base_url": url} if url else {}),
        "temperature": settings.temperature,
        "max_tokens": settings.max_output_tokens,
        "timeout": settings.deadline.total_seconds(),
        "max_retries": 0,
        "cache": False,
    }


def _google(model: str, url: str | None, key: SecretStr | None, settings: ModelSettings) -> dict[str, Any]:
    return {
        "model": model,
        "api_key": key,
        **({"base_url": url} if url else {}),
        "temperature": settings.temperature,
        "max_output_tokens": settings.max_output_tokens,
        "timeout": settings.deadline.total_seconds(),
        "max_retries": 1,  # attempts in all: zero means its own default
        "client_args": {"follow_redirects": False},  # it would take the key along, to any host
        "cache": False,
    }


def _mistral(model: str, url: str | None, key: SecretStr | None, settings: ModelSettings) -> dict[str, Any]:
    return {
        "model": model,
        "api_key": key,
        **({"endpoint": url} if url else {}),
        "temperature": settings.temperature,
        "max_tokens": settings.max_output_tokens,
        "timeout": max(1, round(settings.deadline.total_seconds())),
        "max_retries": 0,
        "cache": False,
    }


def _bedrock(model: str, url: str | None, key: SecretStr | None, settings: ModelSettings) -> dict[str, Any]:
    config = importlib.import_module("botocore.config").Config(
        read_timeout=settings.deadline.total_seconds(), connect_timeout=10, retries={"total_max_attempts": 1}
    )
    return {
        "model": model,
        **({"base_url": url} if url else {}),
        **({"api_key": key} if key else {}),
        "temperature": settings.temperature,
        "max_tokens": settings.max_output_tokens,
        "config": config,
        "cache": False,
    }


_OPTIONS = {"anthropic": _anthropic, "google": _google, "mistral": _mistral, "bedrock": _bedrock}
