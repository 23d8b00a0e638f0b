"""Quantiles and spreads, as the results files state them."""

import math


def quantile(values: list[float], share: float) -> float:
    """The nearest-rank quantile: always one of the values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median": round(quantile(ordered, 0.5), 3),
        "min": round(ordered[0], 3),
        "max": round(ordered[-1], 3),
        "samples": [round(value, 3) for value in values],
    }
