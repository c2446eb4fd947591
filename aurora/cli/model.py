"""aurora model: which chat models there are, and what one of them can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from aurora.cli._border import DONE, INCOMPLETE, run
from aurora.cli._help import OPTIONS, Command, Group
from aurora.cli._options import AsJson, ModelName, ModelUrl

if TYPE_CHECKING:
    from aurora.llm.probe import Findings

app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    context_settings=OPTIONS,
    help="List providers of chat models, and find out what a model can do.",
)

_STYLES = {"yes": "green", "no": "yellow", "unknown": "dim"}


@app.command("list", cls=Command)
def list_providers(as_json: AsJson = False) -> None:
    """List the providers: whether their package is installed, and whether a key is set.

    Example:
        aurora model list
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import settings_for
        from aurora.cli._show import out, plain, table
        from aurora.llm.factory import is_installed, key_of
        from aurora.llm.providers import PROVIDERS
        from aurora.settings import ModelSettings

        configured = settings_for(None).model
        grid = table("provider", "installed", "key", "what it is", stretch="what it is", wrap=True)
        missing = []
        for provider in PROVIDERS:
            is_chosen = (configured.name or "").partition(":")[0] == provider.id
            key = key_of(provider, configured if is_chosen else ModelSettings())
            installed = is_installed(provider)
            if as_json:
                write_json(
                    {
                        "provider": provider.id,
                        "title": provider.title,
                        "installed": installed,
                        "install": f"pip install 'aurora-soc[{provider.extra}]'",
                        "key_variable": provider.variable,
                        "key_set": key is not None,
                        "needs_key": provider.needs_key,
                        "url": provider.url,
                        "configured": configured.name if is_chosen else None,
                    }
                )
                continue
            if not installed and provider.extra not in missing:
                missing.append(provider.extra)
            wanted = provider.variable or "AWS credentials"
            no_key = f"set {wanted}" if provider.needs_key else "not needed"
            grid.add_row(
                plain(provider.id, style="cyan"),
                plain("yes", style="green") if installed else plain("no", style="yellow"),
                plain("set", style="green") if key is not None else plain(no_key, style="dim"),
                plain(provider.title + (f" ({provider.url})" if provider.is_own else "")),
            )
        if not as_json:
            console = out()
            console.print(grid)
            if missing:
                extras = ", ".join(missing)
                hint = f"to install one: pip install 'aurora-soc[EXTRA]', where EXTRA is one of {extras}"
                console.print(plain(hint, style="dim"), soft_wrap=True)
                if "openai" in missing:
                    console.print(plain("openai serves ollama, vllm and llamacpp, too", style="dim"), soft_wrap=True)
            chosen = f"configured: {configured.name}" if configured.name else "no model is configured; none is needed"
            console.print(plain(chosen, style="dim"))
        return DONE

    run(work)


@app.command(cls=Command)
def check(model: ModelName = None, model_url: ModelUrl = None, as_json: AsJson = False) -> None:
    """Ask a model a few questions and tell what Aurora will use of it, and what it will do without.

    Exit status 0 if it answers in a form that Aurora can use, 1 if not.

    Examples:
        aurora model check --model ollama:qwen3:8b
        aurora model check --model openai:gemma --model-url http://127.0.0.1:8080/v1
    """

    async def work() -> int:
        from aurora.cli._options import model_overrides, settings_for
        from aurora.kernel.clock import SystemClock
        from aurora.kernel.errors import ConfigError
        from aurora.llm.open import open_models
        from aurora.llm.probe import probe

        settings = settings_for(None, **model_overrides(model, model_url)).model
        # Some models ramble as long as they may, and a probe need not hear all of it.
        settings = settings.model_copy(update={"max_output_tokens": min(512, settings.max_output_tokens)})
        async with open_models(settings, clock=SystemClock()) as models:
            if models.model is None:
                raise ConfigError("no model is configured: name one with --model provider:name or AURORA_MODEL__NAME")
            found = await probe(models.model)
        _show(found, as_json=as_json)
        return DONE if found.is_usable else INCOMPLETE

    run(work)


def _show(found: Findings, *, as_json: bool) -> None:
    from dataclasses import asdict

    from aurora.cli._json import write_json
    from aurora.cli._show import heading, out, plain, table

    if as_json:
        write_json(asdict(found))
        return
    console = out()
    console.print(plain(found.model, style="bold"))
    grid = table("check", "", "detail", stretch="detail", wrap=True)
    grid.show_header = False
    for each in found.checks:
        grid.add_row(plain(each.title), plain(each.state, style=_STYLES[each.state]), plain(each.detail, style="dim"))
    console.print(grid)
    if found.uses:
        heading(console, "Aurora will use")
        for line in found.uses:
            console.print(plain(f"- {line}"))
    if found.without:
        heading(console, "It will do without")
        for line in found.without:
            console.print(plain(f"- {line}"))
