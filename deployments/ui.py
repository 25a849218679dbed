"""The Prefect page of the local stack, for as long as it is wanted."""

from __future__ import annotations

import sys
import time

from deployments.prefect_env import auth_string
from deployments.prefect_server import use_server
from dubline.settings import get_settings


def main() -> int:
    """Start or join the server, print where it is, wait for Ctrl-C."""
    settings = get_settings()
    with use_server(settings) as server:
        server.wait()
        url = server.url.removesuffix("/api")
        print(
            f"Prefect: {url}\nPassword (asked once by the page): {auth_string(settings)}\nCtrl-C ends it.", flush=True
        )
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main())
