"""One JSON line an event; control characters are escaped by JSON, query strings and secrets never get in."""

from __future__ import annotations

import json
import logging
import sys
import time

from api.resources import iso
from dubline.settings import Settings


class JsonLines(logging.Formatter):
    """`{"at", "level", "logger", "message"}`, and the traceback of a fault under `trace`."""

    def format(self, record: logging.LogRecord) -> str:
        row = {
            "at": iso(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            row["trace"] = self.formatException(record.exc_info)
        return json.dumps(row, ensure_ascii=True)


def configure_logging(settings: Settings) -> None:
    """Our own loggers at `LOG_LEVEL`, the libraries' at WARNING, all to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.Formatter.converter = time.gmtime
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("dubline").setLevel("DEBUG" if settings.debug else settings.log_level)
