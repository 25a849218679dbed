"""Artifacts by content: local files now, any object store behind the same protocol."""
