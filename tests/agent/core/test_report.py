"""What a person reads of a replay."""

from agent.core.peers import Comparison, rules
from agent.core.report import lines
from agent.core.tally import Sums


def whole(*names: str) -> dict[str, object]:
    figures = Sums(read=7, fixes=5, driven_ms=7_200_000, messages=4, live_air_bytes=9000).figures(thinned_eps_m=5.0)
    figures["settings"] = {"profile": None, "eps_m": 10.0}
    figures["files"] = [Sums().figures(thinned_eps_m=5.0) | {"file": name} for name in names]
    return figures


def test_one_file() -> None:
    told = list(lines(whole("/a/drive.csv")))
    assert told[0] == "settings: eps_m = 10.0"
    assert told[2].startswith("drive.csv ")
    assert len(told) == 6
    assert "- messages an hour" in told[5]


def test_many_files_and_what_was_rejected() -> None:
    figures = whole("a.csv", "b" * 50) | {"rejected": {"jump": 2}}
    told = list(lines(figures))
    assert told[3].startswith("…bbb")
    assert told[4].split()[:4] == ["all", "2", "files", "5"]
    assert told[-1] == "rejected: jump 2"


def test_the_comparison() -> None:
    rows = [
        {"name": "this profile", "messages_per_hour": 2.0, "hold_m": None, "extrapolate_m": {}, "bytes_per_hour": None},
        *Comparison(rules(10.0, 60_000)).rows(3_600_000),
    ]
    told = list(lines(whole("a.csv") | {"compare": rows}))
    assert any(line.startswith("this profile") for line in told)
    assert any(line.startswith("OwnTracks move mode: 10 s") for line in told)
    assert told[-1].startswith("* ")
