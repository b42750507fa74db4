"""The one error tree. Each error knows its code for machines, its exit status, and whether trying again can help."""

from typing import ClassVar


class OdographError(Exception):
    """Base of every refusal of ours; anything else that escapes is a bug."""

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1
    transient: ClassVar[bool] = False


class DecodeError(OdographError):
    """Bytes that are not what they should be; `where` names the field, `reason` is a short word for counters."""

    code = "decode"
    exit_status = 5

    def __init__(self, reason: str, where: str = "", detail: str = "") -> None:
        self.reason = reason
        self.where = where
        text = (f"{where}: {reason}" if where else reason) + (f" ({detail})" if detail else "")
        super().__init__(
            text.encode("utf-8", "replace").decode()
        )  # what is quoted may not be a text that can be printed


class UnavailableError(OdographError):
    """A part that we need does not answer now; the caller may try again."""

    code = "unavailable"
    exit_status = 3
    transient = True


class RefusedError(OdographError):
    """The other side understood and said no: wrong credential, missing right, unknown name, conflict."""

    code = "refused"
    exit_status = 4


class SettingsError(OdographError):
    """Settings that can't be used; carries every fault at once, a line each."""

    code = "settings"
    exit_status = 2

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


class LinkDownError(UnavailableError):
    """The network is away: no route, no answer. Trying again soon is right."""

    code = "link-down"


class ServerDownError(UnavailableError):
    """The other side closed or refused the connection: all its clients come back at once, so each should wait a while."""

    code = "server-down"


class SilentError(UnavailableError):
    """A line that is open and has said nothing for long: opened anew at once, it costs nothing to listen."""

    code = "silent"
