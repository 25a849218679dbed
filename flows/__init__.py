"""Compositions of tasks, and nothing else."""
