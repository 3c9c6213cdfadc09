"""The command line: `dcdbench VERB`. A verb's module is imported when the verb is asked for."""

from __future__ import annotations

__all__ = ["VERBS", "cli", "main"]

import difflib
import importlib
import os
from collections.abc import Sequence
from typing import Any

import click

from dcdbench import __version__

# One line of help for each verb, so that `--help` need not import the verbs (and with them
# torch). A test holds each line against the verb's own.
VERBS = {
    "run": "Run a suite, or what is left of it, and print the leaderboard.",
    "plan": "Tell what a run would do: cells, cache hits, predicted time.",
    "validate": "Check suite files and report every mistake at once.",
    "ls": "List the components and suites there are.",
    "show": "Show one stored stage.",
    "status": "Tell how far the runs in a store are.",
    "predict": "Predict whether a student of low rank will beat its teacher.",
    "leaderboard": "Print the leaderboard of what is finished so far.",
    "why": "Explain why a stage is, or is not, in the store.",
    "sample": "Draw samples from a trained method.",
    "gallery": "Draw a picture of the samples of all methods of a suite.",
    "front": "Draw quality against cost, and which methods are on the front.",
    "curves": "Draw quality against the number of steps, over a grid of budgets.",
    "replay": "Replay the step at which a training diverged.",
    "check": "Check the components of a plug-in file against their contracts.",
    "doctor": "Report on the environment, and on what is missing.",
    "schema": "Print the JSON schema of suite files, for editors.",
}


class Verbs(click.Group):
    """A group whose commands are the modules of `dcdbench.commands`, imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The verb's command, from its module."""
        if name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"dcdbench.commands.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the verb, or says which one was perhaps meant."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(VERBS)}."
            ctx.fail(f"No such verb {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the verbs from the table, without their modules."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs a verb and exits by the conventions: 130 when interrupted, an error's `exit_code`.

        An integer that a verb returns is the exit code.
        """
        extra |= {"standalone_mode": False}
        if not standalone_mode:
            return super().main(args, prog_name, **extra)
        try:
            code = super().main(args, prog_name, color=_color(), **extra)
        except click.Abort:
            code = 130
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except Exception as error:
            if (code := _exit_code(error)) is None:
                raise
            click.echo(str(error), err=True)
        raise SystemExit(code if isinstance(code, int) else 0)


def _exit_code(error: Exception) -> int | None:
    """The exit code of an error that is told in one message; None for one that is a bug."""
    from dcdbench.harness.errors import PluginError, StaleCode, StoreError

    told = {PluginError: 2, StoreError: 1, StaleCode: 1}
    own = getattr(error, "exit_code", None)
    return own if isinstance(own, int) else told.get(type(error))


def _color() -> bool | None:
    """Whether to colour: the user's wish, or None to look whether the output is a terminal."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return True if os.environ.get("FORCE_COLOR") else None


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dcdbench")
def cli() -> None:
    """A benchmark of generative models learned from corrupted data.

    Data go to stdout, messages to stderr. Exit codes: 0 all is well; 1 something failed;
    2 wrong usage or an invalid suite; 3 nothing to do; 4 a claim does not hold;
    130 interrupted, with everything finished saved.
    """


def main() -> None:
    """The console script."""
    cli(prog_name="dcdbench")
