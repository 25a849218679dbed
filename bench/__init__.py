"""Measurements against the plain reference script, printed as a table."""
