"""What a core has found out and the agent is to tell: the stuff of events."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fact:
    """An event of this kind; when and where is added by who records it."""

    kind: str
    detail: Mapping[str, object] = field(default_factory=dict)
