"""Numbers as the terminal shows them: counts with commas, figures with three decimals. JSON is exact."""

from __future__ import annotations


def count_text(count: int) -> str:
    """A count.

    >>> count_text(1600)
    '1,600'
    """
    return f"{count:,}"


def counted(number: float, noun: str) -> str:
    """A number of things.

    >>> counted(1, "patient"), counted(1200, "film")
    ('1 patient', '1,200 films')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def figure_text(value: float | None) -> str:
    """A reward, a share or another figure; `none` where there is no value.

    >>> figure_text(2), figure_text(0.12345), figure_text(None)
    ('2.000', '0.123', 'none')
    """
    return "none" if value is None else f"{value:,.3f}"


def value_text(value: object) -> str:
    """A value of any type: a number in its form, and `yes` or `no`.

    >>> value_text(1600), value_text(2.0), value_text(True), value_text("runs/sft")
    ('1,600', '2.000', 'yes', 'runs/sft')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count_text(value)
    return figure_text(value) if isinstance(value, float) or value is None else str(value)
