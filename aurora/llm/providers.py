"""The providers of chat models that Aurora knows. Others that speak OpenAI's protocol work as `openai` with a URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aurora.kernel.errors import ConfigError

Wire = Literal["openai", "anthropic", "google", "mistral", "bedrock"]
AnswerFormat = Literal["json_schema", "json_object", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Who runs a model, and what it takes to ask it."""

    id: str
    title: str
    wire: Wire
    """Protocol that it speaks."""
    module: str
    class_name: str
    extra: str
    """Extra of Aurora's own package that installs the client."""
    variable: str | None = None
    """Environment variable in which the provider's own tools look for its key."""
    url: str | None = None
    """Where it is; `None`: the client knows."""
    needs_key: bool = True
    prices: str | None = None
    """Name in the price table."""
    formats: tuple[AnswerFormat, ...] = ("text",)
    """How an answer can be asked for, best first. Of servers one can run oneself, some do only the last."""

    @property
    def is_own(self) -> bool:
        """Whether it is a server that runs on one's own machine."""
        return self.url is not None and self.url.startswith("http://localhost")


_ANY: tuple[AnswerFormat, ...] = ("json_schema", "json_object", "text")


def _local(id: str, title: str, port: int) -> Provider:
    return Provider(
        id=id,
        title=title,
        wire="openai",
        module="langchain_openai",
        class_name="ChatOpenAI",
        extra="openai",
        url=f"http://localhost:{port}/v1",
        needs_key=False,
        formats=_ANY,
    )


PROVIDERS: tuple[Provider, ...] = (
    Provider(
        id="openai",
        title="OpenAI, and servers that speak its protocol",
        wire="openai",
        module="langchain_openai",
        class_name="ChatOpenAI",
        extra="openai",
        variable="OPENAI_API_KEY",
        url="https://api.openai.com/v1",
        prices="openai",
        formats=_ANY,
    ),
    Provider(
        id="anthropic",
        title="Anthropic",
        wire="anthropic",
        module="langchain_anthropic",
        class_name="ChatAnthropic",
        extra="anthropic",
        variable="ANTHROPIC_API_KEY",
        prices="anthropic",
    ),
    Provider(
        id="google",
        title="Google Gemini",
        wire="google",
        module="langchain_google_genai",
        class_name="ChatGoogleGenerativeAI",
        extra="google",
        variable="GOOGLE_API_KEY",
        prices="google",
    ),
    Provider(
        id="mistral",
        title="Mistral",
        wire="mistral",
        module="langchain_mistralai",
        class_name="ChatMistralAI",
        extra="mistral",
        variable="MISTRAL_API_KEY",
        prices="mistral",
        formats=_ANY,
    ),
    Provider(
        id="bedrock",
        title="Amazon Bedrock, with the credentials of the AWS tools",
        wire="bedrock",
        module="langchain_aws",
        class_name="ChatBedrockConverse",
        extra="bedrock",
        needs_key=False,
        prices="aws",
    ),
    _local("ollama", "Ollama on this machine", 11434),
    _local("vllm", "vLLM on this machine", 8000),
    _local("llamacpp", "llama.cpp on this machine", 8080),
)


def provider_of(name: str) -> tuple[Provider, str]:
    """Split `provider:model`.

    Raises:
        ConfigError: nobody knows the provider; the message lists those that are known.
    """
    wanted, _, model = name.partition(":")
    for provider in PROVIDERS:
        if provider.id == wanted and model.strip():
            return provider, model.strip()
    known = ", ".join(each.id for each in PROVIDERS)
    raise ConfigError(
        f"model {name!r} is not provider:name with a provider that Aurora knows ({known}); "
        "for another server that speaks OpenAI's protocol: openai:NAME with --model-url URL"
    )
