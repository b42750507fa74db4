"""Times of traces: seconds to nanoseconds since 1970, or a date in words with or without a zone. To UTC in ms."""

import math
import re
from datetime import UTC, datetime

MAX_MS = 1 << 43
_SIZES = ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (math.inf, 1e-6))
"""Up to which size a number is told in seconds, ms, µs, ns."""
_ZONE_WORD = re.compile(r"\s*(UTC|GMT)$", re.IGNORECASE)
_FORMATS = ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d-%b-%Y %H:%M:%S")
_PLAIN = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


def at_ms(told: object, ms_per_unit: float = 0.0) -> int | None:
    """UTC in ms, or None for what is no time. A time without a zone is UTC."""
    if isinstance(told, bool) or told is None:
        return None
    if isinstance(told, int | float):
        return _counted(float(told), ms_per_unit)
    text = str(told).strip()
    if _PLAIN.fullmatch(text):
        return _counted(float(text), ms_per_unit)
    moment = _written(_ZONE_WORD.sub("Z", text) if "T" in text or ":" in text else text)
    if moment is None:
        return None
    ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    return ms if 0 < ms < MAX_MS else None


def _counted(value: float, ms_per_unit: float) -> int | None:
    if not math.isfinite(value):
        return None
    factor = ms_per_unit or next(factor for limit, factor in _SIZES if abs(value) < limit)
    ms = value * factor
    return round(ms) if 0 < ms < MAX_MS else None


def _written(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace("/", "-"))
    except ValueError:
        pass
    for form in _FORMATS:
        try:
            return datetime.strptime(text.removesuffix("Z"), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
