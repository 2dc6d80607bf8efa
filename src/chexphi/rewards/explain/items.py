"""One entity, relation or finding in the comparison of two reasonings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Span:
    """Words of a reasoning and where they stand."""

    text: str
    start: int
    """First character."""
    end: int
    """One past the last character."""


@dataclass(frozen=True, slots=True)
class Item:
    """What the completion says, the reference, or both."""

    verdict: Literal["matched", "missed", "invented"]
    """In both graphs, only in the reference's, only in the completion's; so for the findings of both."""
    kind: Literal["entity", "relation", "finding"]
    """A finding where the measure is `clinical`, which does not compare graphs."""
    name: str
    """The normalised words; of a relation its head, type and tail."""
    label: str
    """Of an entity its label, of a relation its type, of a finding its concept."""
    in_completion: tuple[Span, ...] = ()
    """Where the completion's reasoning names it, or what contradicts it. Of a relation: head, tail, …"""
    in_reference: tuple[Span, ...] = ()
    """Where the reference's reasoning names it."""
    contradicted: bool = False
    """Whether it is a claim of the reference that the completion contradicts."""
    note: str = ""
    """How it is contradicted; of a finding why it earns less than all."""
