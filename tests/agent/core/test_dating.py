"""Records made before the time was known: open, then dated or undated."""

import json

from agent.core.dating import UNDATED_FIX, Moment, dated, event_body, undated
from wire.messages import Fix, Reading
from wire.schema import row_of

KNOWN, OPEN = Moment(1_800_000_000_000, "b007", 50), Moment(None, "b007", 50)


def test_an_event_says_its_time_or_its_boot() -> None:
    assert json.loads(event_body(KNOWN, "sos", (1.5, 2.5), {"a": 1})) == [1_800_000_000_000, "sos", 1.5, 2.5, {"a": 1}]
    body = event_body(OPEN, "sos", (None, None), {})
    assert json.loads(body) == [["b007", 50], "sos", None, None, {}]
    assert json.loads(dated(body, 7)) == [7, "sos", None, None, {}]
    assert undated(body, OPEN) == body


def test_a_row_gets_its_time_or_becomes_an_event() -> None:
    row = list(row_of(Fix(9, 41.0000001, -96.0, speed_mps=3.0), Reading(rpm=900.0)))
    body = json.dumps([None, *row[1:]]).encode()
    assert json.loads(dated(body, 9)) == row
    when, kind, lat, lon, detail = json.loads(undated(body, OPEN))
    assert (when, kind, lat, lon) == (["b007", 50], UNDATED_FIX, 41.0000001, -96.0)
    assert (detail["speed_mps"], detail["rpm"]) == (3.0, 900.0)
    assert not {"at_ms", "lat_deg", "lon_deg"} & set(detail)
