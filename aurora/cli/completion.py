"""aurora completion: what makes a shell complete commands, options and their values."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from aurora.cli._border import DONE, run
from aurora.cli._help import OPTIONS, Command

app = typer.Typer(add_completion=False, context_settings=OPTIONS)

Shell = Literal["bash", "zsh", "fish"]

# The variables are Typer's protocol: the shell sets them, and the command answers with candidates instead of running.
# Where there are none, the shell completes names of files.
_SCRIPTS = {
    "bash": """\
_aurora_complete() {
    local IFS=$'\\n'
    COMPREPLY=($(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" _AURORA_COMPLETE=complete_bash "$1"))
}
complete -o default -F _aurora_complete aurora
""",
    "zsh": """\
#compdef aurora
_aurora_complete() {
    eval "$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _AURORA_COMPLETE=complete_zsh aurora)"
}
compdef _aurora_complete aurora
""",
    "fish": """\
function _aurora_complete
    env _AURORA_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] \\
        _TYPER_COMPLETE_ARGS=(commandline -cp) aurora
end
complete --command aurora --no-files --condition '_aurora_complete is-args' --arguments '(_aurora_complete get-args)'
""",
}


@app.command(cls=Command)
def completion(
    shell: Annotated[
        Shell,
        typer.Argument(metavar="SHELL", show_default=False, help="bash, zsh or fish."),
    ],
) -> None:
    """Print the script that makes a shell complete commands, options and their values.

    Put the line of your shell into its start-up file: ~/.bashrc, ~/.zshrc (below compinit), ~/.config/fish/config.fish.

    Examples:
        eval "$(aurora completion bash)"

        eval "$(aurora completion zsh)"

        aurora completion fish | source
    """

    async def work() -> int:
        typer.echo(_SCRIPTS[shell], nl=False)
        return DONE

    run(work)
