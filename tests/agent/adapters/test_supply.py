"""The gateway's supply by the kernel's files."""

from pathlib import Path

from agent.adapters.supply import Supply, found


def test_the_first_mains_supply_is_found_and_read(tmp_path: Path) -> None:
    for name, kind in (("BAT0", "Battery"), ("ac", "Mains"), ("usb", "USB")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(f"{kind}\n")
    path = found(tmp_path)
    assert path == tmp_path / "ac" / "online"
    supply = Supply(path)
    assert supply.online() is None, "no word yet"
    for text, online in (("1\n", True), ("0\n", False), ("2\n", None), ("\xe9", None)):
        path.write_text(text, encoding="latin-1")
        assert supply.online() is online


def test_a_machine_without_supplies_tells_nothing(tmp_path: Path) -> None:
    assert found(tmp_path / "none") is None
    assert found(tmp_path) is None
    assert Supply(None).online() is None
