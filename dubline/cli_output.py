"""What every command prints with: the two consoles, the errors, the exit statuses."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console

out = Console()
err = Console(stderr=True)

EXIT_FAILED, EXIT_REFUSED = 1, 2


def print_error(error: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": error}))
        return
    err.print(f"[bold red]error[/] [dim]{error['code']}[/]  ", end="")
    err.print(error["message"], markup=False, highlight=False)
    if error.get("hint"):
        err.print(f"  {error['hint']}", markup=False, highlight=False, style="dim")
