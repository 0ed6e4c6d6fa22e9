"""Round numbers for the axes of charts."""

from math import ceil, floor, log10


def ticks_to(most: float, count: int = 6) -> list[float]:
    """Round numbers from 0 to ``most``, about so many steps of them."""
    rough = most / count
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [number * step for number in range(floor(most / step + 1e-9) + 1)]


def round_up(most: float, count: int = 6) -> float:
    """A little more than ``most``, to end an axis on a tick."""
    step = ticks_to(most, count)[1]
    return ceil(most / step - 1e-9) * step


def short(number: float) -> str:
    """``1.2 M``, ``340 k``, ``7``: three digits and a unit. For what is not negative."""
    for size, unit in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if number >= size * 0.9995:
            value = number / size
            return f"{value:.3g}{unit}" if value < 999.5 else f"{value:.0f}{unit}"
    return f"{number:.3g}"
