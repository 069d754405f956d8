"""Attached databases, against real ones."""
