"""Tables of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from dubline.engines.inventory import Check, EngineRow

_COLOUR = {"ready": "green", "ok": "green", "optional": "yellow", "missing": "red"}


def print_engines(rows: Sequence[EngineRow], console: Console) -> None:
    """One row an engine, then what each can do."""
    table = Table(title="Engines", show_lines=True, title_justify="left")
    for column in ("kind", "engine", "state", "can do", "weights", "licence of the weights"):
        table.add_column(column, overflow="fold")
    for row in rows:
        state = f"[{_COLOUR.get(row.state, 'white')}]{row.state}[/]"
        if row.command:
            state += f"\n{row.reason}\n[dim]{row.command}[/]"
        table.add_row(row.kind, row.engine, state, row.abilities, row.source, row.licence)
    console.print(table)


def print_checks(rows: Sequence[Check], console: Console) -> None:
    """What is there, what is missing, and the command that mends it."""
    table = Table(title="Doctor", title_justify="left")
    for column in ("part", "state", "found", "mend"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(row.name, f"[{_COLOUR.get(row.state, 'white')}]{row.state}[/]", row.detail, row.command)
    console.print(table)
