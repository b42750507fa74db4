"""The reader: what does not fit is refused, and nothing but a second answer confirms."""

from agent.core.obd.isotp import Message
from agent.core.obd.memory import Memory
from agent.core.obd.plan import Plan, Query
from agent.core.obd.reader import CodesChanged, Reader, Wants


def reader(*, proven: bool = False) -> Reader:
    made = Reader(Wants(("odometer", "status")), Plan(), Memory())
    made.memory.group.proofs = 2 * proven
    made.found(0, told("4100 88180001"), 0)
    return made


def told(*texts: str, unit: str = "7E8") -> tuple[Message, ...]:
    return tuple(Message(unit, bytes.fromhex(text)) for text in texts)


def take(made: Reader, command: str, *texts: str, pids: tuple[int, ...] = ()) -> object:
    return made.take(Query(command, pids), told(*texts), 0)


def test_what_does_not_fit_is_refused() -> None:
    made = reader()
    assert take(made, "0120", "4120 00") == "garbled"
    assert take(made, "020200", "420200") == "garbled"
    assert take(made, "03", "4302 0301") == "garbled"
    assert take(made, "0902", "490202 41424344", "490203 41424344") == "disorder"
    assert take(made, "010D", "410D32", "410D33", pids=(0x0D,)) == "ambiguous"
    assert take(made, "010D", "410D", pids=(0x0D,)) == "short"
    assert take(made, "010D", "410D320C0000", pids=(0x0D,)) == "garbled"


def test_wanted_is_the_track_first() -> None:
    assert reader().wants.pids[:2] == (0x0D, 0x0C)
    assert reader().wants.pids[-2:] == (0xA6, 0x01)


def test_a_group_may_lack_one_only_where_groups_are_proven() -> None:
    assert take(reader(), "010D0C", "410D32", pids=(0x0D, 0x0C)) == "short"
    assert take(reader(proven=True), "010D0C", "410D32", pids=(0x0D, 0x0C)) == []
    assert take(reader(proven=True), "010D", "41", pids=(0x0D,)) == "short"


def test_codes_count_when_they_are_told_twice() -> None:
    made = reader()
    assert take(made, "03", "43010301") == []
    assert take(made, "03", "43010341") == []
    assert take(made, "03", "43010301") == []
    changed = take(made, "03", "43010301")
    assert isinstance(changed, list)
    assert isinstance(changed[0], CodesChanged)
    assert changed[0].appeared == ("P0301",)
    assert take(made, "03", "43010301") == []


def test_a_vehicle_without_facts_is_asked_for_none() -> None:
    made = reader()
    take(made, "0900", "490000000000")
    take(made, "0900", "490000000000")
    assert not made.plan.has("0902")
    take(made, "0902", "490201" + b"no vin".hex())
    take(made, "0902", "490201" + b"no vin".hex())
    assert made.memory.vin == ""
    assert made.memory.facts == {"VIN": {}}
