"""The kinds of sentences and frames in a piece of a receiver's line, counted for people: which of them come at all."""

import re
from collections import Counter

KIND = re.compile(rb"[$!](?:[A-Z]{2}([A-Z]{3})|(P[A-Z]{3,6})),|(\xb5\x62)")
MOST_KINDS = 40


def count(kinds: Counter[str], chunk: bytes) -> None:
    """Add what begins in this piece; a kind that is cut in two is not counted, and no more than `MOST_KINDS` are kept."""
    for sentence, proprietary, _frame in KIND.findall(chunk):
        name = (sentence or proprietary).decode() or "UBX"
        if name in kinds or len(kinds) < MOST_KINDS:
            kinds[name] += 1
