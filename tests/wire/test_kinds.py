"""The kinds of events: names that fit the wire, texts that say something."""

import re

from wire.kinds import KINDS, REASONS
from wire.messages import TIME_KNOWN


def test_kinds_fit_the_wire_and_have_a_text() -> None:
    assert all(re.fullmatch(r"[a-z][a-z-]{1,31}", kind) and len(about) > 15 for kind, about in KINDS.items())
    assert TIME_KNOWN in KINDS


def test_reasons_of_a_loss_fit_the_wire_and_have_a_text() -> None:
    assert all(re.fullmatch(r"[a-z][a-z-]{1,31}", reason) and len(about) > 15 for reason, about in REASONS.items())
