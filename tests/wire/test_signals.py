"""Signals: each row is complete, unique, and known to the schema and to `Reading`."""

from wire import schema
from wire.messages import Reading
from wire.signals import BY_KEY, BY_PID, SIGNALS


def test_unique_and_known() -> None:
    assert len(BY_PID) == len(BY_KEY) == len({signal.vss for signal in SIGNALS}) == len(SIGNALS)
    for signal in SIGNALS:
        assert signal.key in {column.key for column in schema.COLUMNS}
        assert signal.field in Reading.__slots__
        assert signal.vss.startswith("Vehicle.OBD.")
