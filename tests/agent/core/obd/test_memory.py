"""What is kept of an adapter: tricks that are proven or given up, and its grade with the reasons."""

from agent.core.obd.memory import RENEWALS, Group, Memory, Trick, grade, report


def test_a_trick_is_proven_twice_and_given_up_after_failures() -> None:
    trick = Trick()
    proven = []
    for _ in range(2):
        trick.worked()
        proven.append(trick.proven)
    for _ in range(3):
        trick.failed()
        proven.append(trick.proven)
    assert proven == [False, True, True, True, False]
    for _ in range(RENEWALS):
        trick.renewed()
        assert not trick.refused
        trick.worked()
        trick.worked()
        trick.refused = True
    trick.renewed()
    assert trick.refused


def test_what_never_worked_is_given_up_sooner_and_for_good() -> None:
    trick = Trick()
    trick.failed()
    trick.failed()
    assert trick.refused
    trick.renewed()
    assert trick.refused


def test_six_then_two_then_one() -> None:
    group = Group()
    group.failed()
    group.failed()
    assert (group.size, group.refused) == (2, False)
    group.failed()
    group.failed()
    assert group.refused


def test_grades() -> None:
    assert grade(Memory(banner="ELM327 v1.4b")) == ("genuine", ())
    assert grade(Memory(banner="ELM327 v1.5")) == ("clone", ("says v1.5, which was never made",))
    assert grade(Memory(banner="ELM327 v1.4b", description="STN1110 v4", refused={"AT@1"}))[0] == "genuine"
    assert grade(Memory(refused={"ATAT1"})) == ("clone", ("refuses ATAT1",))
    assert grade(Memory(refused={"ATH1"}))[0] == "poor"
    assert grade(Memory(digit=Trick(refused=True))) == ("clone", ("cannot count lines",))
    bad = Memory(answers=10)
    bad.faults.update({"garbled": 3, "no-data": 100})
    assert grade(bad) == ("poor", ("3 faults in 13 answers",))
    slow = Memory()
    slow.round_trips_ms.extend((500, 600, 700))
    assert grade(slow) == ("poor", ("slow: 600 ms an answer",))


def test_report() -> None:
    memory = Memory(protocol="6", supported=frozenset({0x0C, 0xA6}), vin="X")
    memory.round_trips_ms.extend((30, 40))
    told = report(memory)
    assert (told.protocol, told.round_trip_ms, told.supported) == ("ISO 15765-4 CAN 11/500", 35.0, ("0C", "A6"))
    assert report(Memory()).round_trip_ms is None
