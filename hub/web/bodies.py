"""Bodies of requests and answers, for checking and for the description of the API."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """Base of the bodies that come in: an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid")


class Login(Body):
    """A one-use code of `odograph-hub login-code`."""

    code: str = Field(min_length=1, max_length=128)


class Session(BaseModel):
    """A token that the code was changed into."""

    token: str
    expires_ms: int


class VehicleState(BaseModel):
    """A vehicle as the stream shows it, too."""

    model_config = ConfigDict(extra="allow")

    veh: str
    name: str
    on: bool
    live: dict[str, Any] | None
    rx: int | None
    q: int
    through: int | None
    catching_up: bool


class Place(BaseModel):
    """Where a vehicle is now, predicted, and how far off that may be."""

    lat: float
    lon: float
    bound_m: float
    at: int


class VehicleNow(VehicleState):
    """A vehicle with its predicted place."""

    now: Place | None


class NearVehicle(VehicleState):
    """A vehicle with its distance from the place asked for."""

    distance_m: float


class Vehicles(BaseModel):
    """Vehicles of a fleet at a time of the hub."""

    at: int
    vehicles: list[VehicleState]


class NearVehicles(BaseModel):
    """Vehicles around a place, nearest first. `cut` tells that there may be more."""

    at: int
    vehicles: list[NearVehicle]
    cut: bool


class LedgerLine(BaseModel):
    """How many of something came from a device on a UTC day."""

    device: str
    day: str
    what: str
    n: int


class LedgerDay(BaseModel):
    """A vehicle's UTC day: recorded = received + lost by reason + still out there, as of `told_ms`.

    Then its device told last how much it has recorded (the one that is silent for longest, of several).
    """

    vehicle: str | None
    day: str
    recorded: int
    received: int
    lost: dict[str, int]
    out_there: int
    told_ms: int | None
    notes: list[str]


class LedgerBalance(BaseModel):
    """A device over all days, as of its word of `told_ms`; `off` is by how much it does not close, `why` says why."""

    device: str
    recorded: int
    received: int
    lost: dict[str, int]
    out_there: int
    told_ms: int | None
    off: int
    why: list[str]


class LedgerDays(BaseModel):
    """The ledger as an account, as of a time of the hub."""

    at: int
    days: list[LedgerDay]
    devices: list[LedgerBalance]


class PageSettings(BaseModel):
    """What the live page needs to know before it signs in."""

    tile_url: str | None
    attribution: str


class Fault(BaseModel):
    """Why a request was refused."""

    code: str
    message: str
    where: str | None = None


class ErrorBody(BaseModel):
    """The one form of every refusal."""

    error: Fault
