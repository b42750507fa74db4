"""Distances and bearings on a sphere of the mean Earth radius (IUGG R1 = 6 371 008.8 m)."""

import math

EARTH_RADIUS_M = 6_371_008.8
METRES_PER_DEGREE = math.pi * EARTH_RADIUS_M / 180.0


def distance_m(lat1_deg: float, lon1_deg: float, lat2_deg: float, lon2_deg: float) -> float:
    """Great-circle distance by the haversine formula, stable for small distances."""
    lat1, lat2 = math.radians(lat1_deg), math.radians(lat2_deg)
    dlat, dlon = lat2 - lat1, math.radians(lon2_deg - lon1_deg)
    a = math.sin(dlat / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(dlon / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(a)))


def bearing_deg(lat1_deg: float, lon1_deg: float, lat2_deg: float, lon2_deg: float) -> float:
    """Initial bearing from the first to the second place, 0 ≤ bearing < 360, clockwise from north."""
    lat1, lat2 = math.radians(lat1_deg), math.radians(lat2_deg)
    dlon = math.radians(lon2_deg - lon1_deg)
    y = math.sin(dlon) * math.cos(lat2)
    x = math.cos(lat1) * math.sin(lat2) - math.sin(lat1) * math.cos(lat2) * math.cos(dlon)
    return math.degrees(math.atan2(y, x)) % 360.0


def moved(lat_deg: float, lon_deg: float, north_m: float, east_m: float) -> tuple[float, float]:
    """The place `north_m` and `east_m` away, for distances of up to some kilometres; longitude in [-180, 180)."""
    lat = max(-90.0, min(90.0, lat_deg + north_m / METRES_PER_DEGREE))
    scale = METRES_PER_DEGREE * max(math.cos(math.radians(lat_deg)), 1e-6)
    lon = lon_deg + east_m / scale
    return lat, (lon + 180.0) % 360.0 - 180.0


def in_box(lat_deg: float, lon_deg: float, box: tuple[float, float, float, float]) -> bool:
    """Whether the place is in `(west, south, east, north)`; a box with west > east crosses the date line."""
    west, south, east, north = box
    if not south <= lat_deg <= north:
        return False
    return west <= lon_deg <= east if west <= east else (lon_deg >= west or lon_deg <= east)
