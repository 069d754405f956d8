"""Tests of jammi-sql doctor."""
