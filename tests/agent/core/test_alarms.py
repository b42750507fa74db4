"""Idling and tow: told once, ended, and never for a parked vehicle whose fixes wander."""

import random

from agent.core.alarms import Config, State, step
from agent.core.facts import Fact
from wire.messages import Fix

CONFIG = Config()
DEG_PER_M = 1 / 111_195


def fix(second: int, north_m: float = 0.0, accuracy_m: float | None = 3.0) -> Fix:
    return Fix(second * 1_000, 52.0 + north_m * DEG_PER_M, 13.0, accuracy_m=accuracy_m)


def run(state: State, fixes: list[Fix], *, ignition: bool | None, standing: bool = True) -> tuple[State, list[Fact]]:
    facts = []
    for one in fixes:
        state, told = step(state, one, one.at_ms, CONFIG, ignition=ignition, standing=standing)
        facts += told
    return state, facts


def test_idling_is_told_once_and_ended() -> None:
    state, facts = run(State(), [fix(i) for i in range(300)], ignition=True)
    assert facts == []
    state, facts = run(state, [fix(i) for i in range(300, 900)], ignition=True)
    assert facts == [Fact("idling", {"for_s": 300})]
    state, facts = run(state, [fix(900), fix(901)], ignition=True, standing=False)
    assert facts == [Fact("idling-end", {"for_s": 900})]


def test_standing_without_ignition_is_no_idling() -> None:
    for ignition in (False, None):
        assert run(State(), [fix(i) for i in range(900)], ignition=ignition)[1] == []


def test_a_tow_is_told_once_after_three_fixes_that_agree() -> None:
    state, _ = run(State(), [fix(0)], ignition=False)
    state, facts = run(state, [fix(1, 250), fix(2), fix(3, 250), fix(4, 260)], ignition=False)
    assert facts == [], "a jump is no tow"
    state, facts = run(state, [fix(5, 270), fix(6, 300), fix(7, 400), fix(8, 400), fix(9, 400)], ignition=False)
    assert facts == [Fact("tow", {"from": [52.0, 13.0], "moved_m": 400})]
    state, facts = run(state, [fix(10, 500)], ignition=True)
    state, facts = run(state, [fix(11, 500), *(fix(i, 900) for i in range(12, 19))], ignition=False)
    assert [fact.kind for fact in facts] == ["tow"], "the next parking has its own"


def test_without_knowledge_of_the_ignition_there_is_no_tow() -> None:
    assert run(State(), [fix(i, 20.0 * i) for i in range(60)], ignition=None)[1] == []


def test_wandering_fixes_are_no_tow() -> None:
    dice = random.Random(7)
    wandering = [fix(i, dice.gauss(0, 60)) for i in range(3_000)]
    assert run(State(), wandering, ignition=False)[1] == []
    poor = [fix(0), *(fix(i, 400, accuracy_m=150.0) for i in range(1, 50))]
    assert run(State(), poor, ignition=False)[1] == []
    unknown = [fix(0), *(fix(i, 400, accuracy_m=None) for i in range(1, 9))]
    assert [fact.kind for fact in run(State(), unknown, ignition=False)[1]] == ["tow"]


def test_a_vehicle_that_was_moving_when_the_ignition_seemed_to_go_is_not_towed() -> None:
    driving = [fix(i, 20.0 * i) for i in range(60)]
    assert run(State(), driving, ignition=False, standing=False)[1] == []


def test_ten_positions_a_second_are_no_tow_in_the_blink_of_an_eye() -> None:
    fast = [fix(0), *(Fix(1_000 + i * 100, 52.01, 13.0, accuracy_m=3.0) for i in range(20))]
    assert run(State(), fast, ignition=False)[1] == []
