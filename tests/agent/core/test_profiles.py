"""Profiles name settings that there are, and a wrong name tells which there are."""

from agent.core.profiles import PROFILES, unknown
from agent.settings import Budget, Hub, Obd, Outbox, Sampling
from wire.ops.settings import Settings

SECTIONS: dict[str, type[Settings]] = {"hub": Hub, "obd": Obd, "outbox": Outbox, "budget": Budget}


def test_the_profiles_of_the_issue() -> None:
    assert list(PROFILES) == ["city", "highway", "courier", "trailer", "low-data"]
    for profile in PROFILES.values():
        assert set(profile.sampling) <= set(Sampling.model_fields)
        for section, values in profile.sections.items():
            assert set(values) <= set(SECTIONS[section].model_fields)
        Sampling.model_validate(profile.sampling)


def test_a_wrong_name() -> None:
    assert "did you mean courier?" in unknown("Curier")
    assert unknown("zzz").endswith("there are city, highway, courier, trailer, low-data")
