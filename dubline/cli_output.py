"""What every command prints with: the two consoles, the errors, the exit statuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

from rich.console import Console

out = Console()
err = Console(stderr=True)

EXIT_FAILED, EXIT_REFUSED = 1, 2


def one_of(kind: Any) -> Callable[[], list[str]]:
    """Values that a shell may complete to. What is none of them is refused in our words, as JSON when that is asked."""
    return lambda: list(get_args(kind))


def print_error(error: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": error}))
        return
    err.print(f"[bold red]error[/] [dim]{error['code']}[/]  ", end="")
    err.print(error["message"], markup=False, highlight=False)
    if error.get("hint"):
        err.print(f"  {error['hint']}", markup=False, highlight=False, style="dim")
