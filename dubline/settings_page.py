"""The reference page of the settings, made from the settings themselves: `python -m dubline.settings_page`."""

from __future__ import annotations

from pydantic_core import PydanticUndefined

from dubline.settings import Settings

_FACTORIES = {"dubline_home": "the user's data folder", "cpu_threads": "the processors it may use"}
_HEAD = """# Reference: settings

Read from the environment and from a `.env` file in the working folder. A bad value stops the start with one sentence
that names the variable. This page is made by `make reference`.

| variable | default | meaning |
|---|---|---|
"""
_FOOT = """
The Prefect server uses SQLite in the state folder, or the PostgreSQL that `DUBLINE_PREFECT_DATABASE_URL` names. An S3
store takes its credentials from the usual `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_DEFAULT_REGION`.

`dubline --help` and `dubline dub --help` list the commands and options.
"""


def page() -> str:
    """The page as Markdown."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = _FACTORIES.get(name)
        if default is None:
            value = field.default
            default = "none" if value in (None, "", PydanticUndefined) else f"`{_written(value)}`"
        rows.append(f"| `{name.upper()}` | {default} | {field.description} |")
    return _HEAD + "\n".join(rows) + "\n" + _FOOT


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    print(page(), end="")
