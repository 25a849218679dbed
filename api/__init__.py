"""The facade: jobs over HTTP, WebSocket and SSE. Prefect owns the state of runs, the database what it does not know."""
