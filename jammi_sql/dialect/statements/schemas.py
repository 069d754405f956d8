"""Schemas, and a relation of any kind described."""

from __future__ import annotations

from dataclasses import dataclass

from .fragment import Name
from .query import Query

__all__ = ["CreateSchema", "Describe", "DropSchema"]


@dataclass(frozen=True, slots=True)
class CreateSchema:
    """``CREATE SCHEMA [IF NOT EXISTS] name``."""

    name: Name
    if_not_exists: bool


@dataclass(frozen=True, slots=True)
class DropSchema:
    """``DROP SCHEMA [IF EXISTS] name [CASCADE | RESTRICT]``."""

    name: Name
    if_exists: bool
    cascade: bool


@dataclass(frozen=True, slots=True)
class Describe:
    """``DESCRIBE name`` or ``DESC name``. ``body`` is the statement itself, for relations of DataFusion's own."""

    name: Name
    body: Query
