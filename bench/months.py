"""Months of a data plan in virtual time: what is used, which levels were in force, and what still waits.

A van drives some hours a day from seven on. While it drives it sends 250 live messages an hour at ε = 10 m, fewer at a wider one (as on
the drives of `bench.live`), and heartbeats; fixes come once a second, at 13 bytes in small batches and 10.5 in large ones.
"""

from collections import Counter

from agent.core.budget import (
    BLIND_M,
    LEVELS,
    Config,
    Spent,
    State,
    eps_m,
    held,
    month_end_ms,
    step,
)
from agent.core.cost import link_bytes, publish_bytes
from wire.iso import from_iso

START = from_iso("2026-03-01T00:00:00Z")
STEP_S = 1200


def plan(mb: float) -> Config:
    """A budget of so many MB a month; 0 for none."""
    return Config(round(mb * 1e6) or None)


class Van:
    """Drives so many hours a day from seven on, and sends what the level in force lets it."""

    def __init__(self, config: Config, hours: float) -> None:
        self.config, self.hours = config, hours
        self.state, self.now_ms, self.waiting, self.since_s = State(), START, 0, 0
        self.levels: list[int] = []
        self.told: list[str] = []

    def _lanes(self, *, drives: bool) -> tuple[dict[str, int], int]:
        level = LEVELS[self.state.level]
        beats = 3600 / min(3600.0, (60 if drives else 300) * (level.moving if drives else level.parked))
        spread_m = eps_m(self.state.level, 10.0)
        moves = 250 * (10 / spread_m) ** 0.75 if drives and spread_m < BLIND_M else 0.0
        lanes = {"live": round((beats + moves) * STEP_S / 3600 * publish_bytes(22, 135))}
        self.waiting += STEP_S if drives else 0
        self.since_s += STEP_S
        delivered = 0
        if self.since_s >= level.upload_s and not held(self.state, self.config):
            self.since_s = 0
            for _ in range(1 if level.rows else -(-self.waiting // 60)):
                rows = min(self.waiting, level.rows or 60)
                if rows:
                    size = round(rows * (13 if rows <= 60 else 10.5)) + 80
                    lanes["track"] = lanes.get("track", 0) + publish_bytes(23, size)
                    lanes["ack"] = lanes.get("ack", 0) + publish_bytes(22, 110)
                    self.waiting, delivered = self.waiting - rows, delivered + rows
        return lanes, delivered

    def month(self) -> float:
        """Bytes of the month that ends next."""
        while True:
            at_s = (self.now_ms - START) // 1000 % 86_400
            drives = 7 * 3600 <= at_s < (7 + self.hours) * 3600
            lanes, delivered = self._lanes(drives=drives)
            if at_s % 21_600 == 0:
                lanes["link"] = link_bytes()
            self.now_ms += STEP_S * 1000
            used, ends_ms = self.state.used, month_end_ms(self.now_ms - 1, self.config.first_day)
            if self.now_ms >= ends_ms:
                self.state, told = step(self.state, Spent({}), self.now_ms, self.config)
                self.told += [told] if told else []
                return used + sum(lanes.values())
            spent = Spent(lanes, STEP_S if drives else 0, delivered, self.waiting)
            self.state, told = step(self.state, spent, self.now_ms, self.config)
            self.levels.append(self.state.level)
            self.told += [told] if told else []


def main() -> None:
    """Print the table."""
    print("data budget: second of two months in virtual time")
    print(f"  {'drives':>10} {'budget':>9} {'used':>9} {'changes':>8}   mean ε    waits at the end   days by level")
    for hours, mb in ((2, 0), (2, 100), (2, 30), (2, 10), (10, 0), (10, 100), (10, 30), (10, 10), (10, 5)):
        van = Van(plan(mb), hours)
        van.month()
        van.levels, van.told = [], []
        used = van.month()
        spread_m = sum(min(100.0, eps_m(level, 10.0)) for level in van.levels) / len(van.levels)
        days = Counter(van.levels)
        told = ", ".join(f"{level}: {n * STEP_S / 86_400:.1f}" for level, n in sorted(days.items()))
        changes = len([word for word in van.told if word != "month"])
        budget = f"{mb} MB" if mb else "none"
        print(
            f"  {hours:>4} h/day {budget:>9} {used / 1e6:>6.1f} MB {changes:>8} {spread_m:>6.0f} m {van.waiting:>10} fixes   {told}"
        )


if __name__ == "__main__":
    main()
