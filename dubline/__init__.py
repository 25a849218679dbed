"""Dubline's core: everything about a dub that does not need Prefect or a web server."""

__version__ = "0.1.0"
