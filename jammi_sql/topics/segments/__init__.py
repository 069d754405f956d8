"""Segments: sealed stretches of topics' logs as Parquet files."""
