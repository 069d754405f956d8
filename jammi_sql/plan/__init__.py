"""Decisions made before anything runs: types, arguments, the shape of a live query. No I/O."""
