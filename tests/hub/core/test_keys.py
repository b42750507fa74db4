"""Redis keys: one slot for each fleet."""

from hub.core import keys


def test_all_keys_of_a_fleet_share_the_hash_tag() -> None:
    of = keys.of("north")
    names = [of.geo, of.live, of.order, of.events, of.epoch, of.moves, of.bell]
    assert names == [f"odo:{{north}}:{part}" for part in ("geo", "live", "order", "events", "epoch", "moves", "bell")]
    assert {keys.fleet_of(name) for name in names} == {"north"}


def test_a_name_without_a_tag_has_no_fleet() -> None:
    assert keys.fleet_of("odo:moves") == ""
    assert keys.fleet_of("odo:{half") == ""
