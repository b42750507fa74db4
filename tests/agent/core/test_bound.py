"""The contract of the live lane, on every recording there is: the hub's belief is never off by more than ε."""

from pathlib import Path

import pytest

from agent.core import journey, sampler
from agent.core.traces.drives import reading_of
from agent.core.traces.reading import read
from wire.codec import decode_live
from wire.errors import DecodeError
from wire.geo import distance_m
from wire.messages import Live, Rejected
from wire.predict import predict

RECORDINGS = Path(__file__).parents[2] / "recordings"
DRIVES = sorted([*RECORDINGS.glob("nds-*"), *RECORDINGS.glob("drive-*")])
LOGS = sorted((RECORDINGS / "gpsd").glob("*.log*"))
EPS_M = (3.0, 10.0, 50.0)


def judged(path: Path, eps_m: float) -> tuple[int, int, int, float]:
    """Fixes on the way, those of them refused or held, messages, and the worst error of the belief against accepted fixes."""
    config = journey.Config(sampler.Config(eps_m=eps_m))
    going = doubted = messages = 0
    worst_m = 0.0
    for drive in read(path.name, path.read_bytes()).drives:
        state, belief = journey.State(), Live(0, 0.0, 0.0)
        for moment in drive.moments:
            state, passed = journey.step(state, moment.fix, reading_of(moment.values), config)
            if isinstance(passed, Rejected):
                going, doubted = going + 1, doubted + 1
                continue
            if passed.live is not None:
                belief, messages = decode_live(passed.live), messages + 1
            if not passed.standing:
                going, doubted = going + 1, doubted + passed.held
            if not passed.held:
                lat_deg, lon_deg = predict(belief, passed.fix.at_ms)
                worst_m = max(worst_m, distance_m(lat_deg, lon_deg, passed.fix.lat_deg, passed.fix.lon_deg))
    return going, doubted, messages, worst_m


@pytest.mark.parametrize("eps_m", EPS_M)
@pytest.mark.parametrize("path", DRIVES, ids=lambda path: path.name)
def test_on_a_drive_the_belief_is_never_off_by_more_than_eps(path: Path, eps_m: float) -> None:
    going, doubted, messages, worst_m = judged(path, eps_m)
    assert going > 100
    assert messages > 10
    assert worst_m <= eps_m
    assert doubted <= 0.03 * going, "fixes are refused or held only where the vehicle stands"


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name.partition(".log")[0])
def test_on_what_a_receiver_said_the_belief_is_never_off_by_more_than_eps(path: Path) -> None:
    try:
        *_, worst_m = judged(path, 10.0)
    except DecodeError as error:
        assert error.reason, "a recording without a fix says so"  # noqa: PT017  # most have one
        return
    assert worst_m <= 10.0
