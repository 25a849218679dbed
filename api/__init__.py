"""The facade: jobs over HTTP, WebSocket and SSE. Prefect owns the state of runs, the database what it does not know."""

import sys

# httpx imports a command line of its own where it can, with rich and pygments: 4 MB of this process that nothing uses.
# None makes an import fail, as the reference of sys.modules says; its type knows modules alone.
sys.modules.setdefault("httpx._main", None)  # pyright: ignore[reportArgumentType]
