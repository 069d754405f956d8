"""Benchmarks: ratios in one run, reported, never a reason to fail. ``make bench`` runs them."""
