"""Signals: each row is complete, unique, and known to the schema and to `Reading`."""

from wire import schema
from wire.messages import Reading
from wire.signals import BY_KEY, BY_PID, BY_VSS, SIGNALS


def test_unique_and_known() -> None:
    assert len(BY_PID) == len(BY_KEY) == len(BY_VSS) == len(SIGNALS)
    for signal in SIGNALS:
        assert signal.key in schema.KEYS
        assert signal.field in Reading.__slots__
        assert signal.vss.startswith("Vehicle.OBD.")
