"""US dollars: exact sums, and how people read them."""

from decimal import ROUND_HALF_EVEN, Decimal

# What is stored, in dollars. The price of one token is a whole number of these wherever that of a
# million has at most six decimals, so whole numbers hold every cost exactly.
UNIT = Decimal(1).scaleb(-12)

_CENT = Decimal("0.01")
_LEAST = Decimal("0.0001")  # what is shown; less than that is shown as less


def units_of(dollars: Decimal) -> int:
    return int((dollars / UNIT).to_integral_value())


def dollars_of(units: int) -> Decimal:
    return units * UNIT


def in_words(dollars: Decimal) -> str:
    """``$1,234.50``; from ten cents down with four decimals, as answers cost fractions of one."""
    if dollars and abs(dollars) < _LEAST / 2:
        return f"<${_LEAST}"
    places = _CENT if not dollars or abs(dollars) >= Decimal("0.1") else _LEAST
    sign = "-" if dollars < 0 else ""
    return f"{sign}${abs(dollars).quantize(places, ROUND_HALF_EVEN):,}"
