"""The plan: turns, periods, groups, what is missed, what is asked once."""

from agent.core.obd.plan import CAN_WAIT_MS, Config, Plan, Query


def plan(*pids: int, fast_ms: int = 200) -> Plan:
    made = Plan(Config(fast_ms=fast_ms))
    for pid in pids:
        made.poll(pid, "7E8", 0)
    return made


def asked(made: Plan, now_ms: int, group: int = 1) -> str | None:
    query = made.choose(now_ms, group)
    return None if query is None else query.command


def test_fast_and_slow_take_turns() -> None:
    made = plan(0x0D, 0x0C, 0x05, 0x2F)
    assert [asked(made, 0) for _ in range(5)] == ["010D", "0105", "010C", "012F", None]
    assert made.next_ms == 200
    assert asked(made, 200) == "010D"
    assert asked(made, 201) == "010C"


def test_groups_take_the_due_and_the_nearly_due_of_the_same_unit() -> None:
    made = plan(0x0D, 0x0C, 0x05)
    made.poll(0x2F, "7E9", 0)
    assert asked(made, 0, 6) == "010D0C05"
    assert asked(made, 0, 6) == "012F"
    assert asked(made, 120, 6) is None
    assert asked(made, 200, 2) == "010D0C"
    made.missed(Query("", (0x0C,)), 200)
    assert asked(made, 400, 6) == "010D"


def test_time_that_was_lost_is_not_made_up_for() -> None:
    made = plan(0x0D)
    assert asked(made, 5000) == "010D"
    assert made.next_ms == 5100
    assert asked(plan(0x0D, fast_ms=0), 7) == "010D"


def test_once_is_once_and_repeated_is_repeated() -> None:
    made = Plan()
    assert made.empty
    made.once("0902", 0)
    made.repeat("03", 1000, 0)
    made.repeat("03", 5, 0)
    query = made.choose(0)
    assert query == Query("0902")
    made.answered(query, 0)
    assert not made.has("0902")
    assert asked(made, 0) == "03"
    assert made.next_ms == 1000
    made.again("03", 10)
    made.again("07", 10)
    assert asked(made, 10) == "03"
    made.drop("03")
    made.drop("03")
    assert made.empty


def test_planned_again_while_it_is_answered() -> None:
    made = Plan()
    made.once("0902", 0)
    query = made.choose(0)
    assert query is not None
    made.once("0902", 5)
    made.answered(query, 5)
    assert made.has("0902")


def test_misses_make_it_seldom() -> None:
    made = Plan()
    made.once("0902", 0)
    for now_ms in (0, 10, 20):
        assert asked(made, now_ms) == "0902"
        made.missed(Query("0902"), now_ms)
    assert asked(made, 30) is None
    assert made.next_ms == 20 + made.config.absent_ms
    made.poll(0x0D, "", 30)
    made.missed(Query("010D", (0x0D,)), 30)
    assert made.next_ms == 30


def test_values_before_codes_but_not_for_ever() -> None:
    made = plan(0x05)
    made.once("0902", -1000)
    assert asked(made, 0) == "0105"
    made = plan(0x05)
    made.once("0902", -CAN_WAIT_MS - 1)
    assert asked(made, 0) == "0902"


def test_soon_is_now() -> None:
    made = plan(0x05, 0x0D)
    asked(made, 0)
    asked(made, 0)
    made.soon((0x05, 0x99), 7)
    assert asked(made, 7) == "0105"
    made.clear()
    assert made.empty
