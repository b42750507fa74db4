"""What lies in firmware-configs besides settings: udev rules that are well formed and name the known chips, gpsd's defaults."""

import fnmatch
import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "firmware-configs"
RULES = FOLDER / "99-odograph.rules"
TERM = re.compile(r'([A-Z]+)(?:\{([A-Za-z_]+)\})?(==|!=|\+=|=|:=)"([^"]*)"')
MATCHES = {"SUBSYSTEM", "SUBSYSTEMS", "ACTION", "ENV"}
SETS = {"GOTO", "LABEL", "SYMLINK", "GROUP", "MODE", "ENV", "IMPORT"}

UNIT = FOLDER.parent / "systemd" / "odograph-agent.service"
Rule = list[tuple[str, str, str, str]]


def rules() -> list[Rule]:
    """Each line as its terms; whatever is not a term, a comma or a space makes the line wrong."""
    found = []
    for line in RULES.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            terms = [(key, attribute or "", how, value) for key, attribute, how, value in TERM.findall(line)]
            assert TERM.sub("", line).replace(",", "").strip() == "", line
            found.append(terms)
    return found


def names(device: dict[str, str], *, subsystem: str = "tty", action: str = "add") -> set[str]:
    """The links that udev would make: its rules run here, line by line."""
    env = {"ID_BUS": "usb", "ID_PATH_TAG": "platform-x-usb-0_1_1_0", **device}
    links: set[str] = set()
    goto = ""
    for rule in rules():
        if goto and ("LABEL", "", "=", goto) not in rule:
            continue
        goto = ""
        if not all(_holds(term, env, subsystem, action) for term in rule if term[2] in {"==", "!="}):
            continue
        for key, attribute, _, value in (term for term in rule if term[2] not in {"==", "!="}):
            if key == "ENV":
                env[attribute] = value
            elif key == "SYMLINK":
                links.add(re.sub(r"\$env\{(\w+)\}", lambda found: env.get(found[1], ""), value))
            elif key == "GOTO":
                goto = value
    assert not goto, "each GOTO has its LABEL"
    return links


def _holds(term: tuple[str, str, str, str], env: dict[str, str], subsystem: str, action: str) -> bool:
    key, attribute, how, pattern = term
    value = {"ENV": env.get(attribute, ""), "ACTION": action, "SUBSYSTEM": subsystem, "SUBSYSTEMS": "usb"}[key]
    return fnmatch.fnmatchcase(value, pattern) == (how == "==")


def test_every_term_is_one_that_udev_knows() -> None:
    for rule in rules():
        for key, attribute, how, _ in rule:
            assert key in (MATCHES if how in {"==", "!="} else SETS), (key, how)
            assert bool(attribute) == (key in {"ENV", "IMPORT"})


@pytest.mark.parametrize(
    ("vendor", "product", "model", "name"),
    [
        ("1546", "01a7", "u-blox_7_-_GPS_GNSS_Receiver", "gnss"),
        ("1546", "01a9", "", "gnss"),
        ("067b", "2303", "USB-Serial_Controller", "gnss"),
        ("1a86", "7523", "USB_Serial", "obd"),
        ("0403", "6001", "FT232R_USB_UART", "obd"),
        ("0403", "6015", "OBDLink_SX", "obd"),
        ("10c4", "ea60", "CP2102_USB_to_UART_Bridge_Controller", "obd"),
        ("10c4", "ea60", "NAVILOCK_GPS", "gnss"),
        ("0403", "6001", "Holux_gps", "gnss"),
        ("1a86", "7523", "OBDII", "obd"),
        ("2c7c", "0125", "EC25-E", ""),
    ],
)
def test_a_chip_gets_its_name(vendor: str, product: str, model: str, name: str) -> None:
    found = names({"ID_VENDOR_ID": vendor, "ID_MODEL_ID": product, "ID_MODEL": model})
    assert found == {"odograph/at-platform-x-usb-0_1_1_0"} | ({f"odograph/{name}"} if name else set())


def test_what_is_no_usb_serial_port_is_left_alone() -> None:
    chip = {"ID_VENDOR_ID": "1546", "ID_MODEL_ID": "01a7"}
    assert names(chip, subsystem="block") == set()
    assert names(chip, action="remove") == set()
    assert names({**chip, "ID_BUS": "pci"}) == set()


def test_udev_itself_has_nothing_against_the_rules() -> None:
    tool = shutil.which("udevadm")
    if (
        tool is None
        or "verify" not in subprocess.run([tool, "--help"], capture_output=True, text=True, check=True).stdout
    ):
        pytest.skip("this machine has no `udevadm verify` (systemd 254 and later)")
    subprocess.run([tool, "verify", "--no-summary", str(RULES)], check=True)


def test_the_defaults_of_gpsd_are_shell_and_name_the_rule_s_link() -> None:
    text = (FOLDER / "gpsd.default").read_text(encoding="utf-8")
    values = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    assert {key: value.strip('"') for key, value in values.items()} == {
        "DEVICES": "/dev/odograph/gnss", "GPSD_OPTIONS": "-n", "START_DAEMON": "true", "USBAUTO": "false",
    }  # fmt: skip


def test_the_readme_names_every_file() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert not [path.name for path in FOLDER.iterdir() if path.name != "README.md" and path.name not in readme]


def test_the_service_may_use_every_kind_of_line() -> None:
    families = re.search(r"^RestrictAddressFamilies=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    assert families is not None
    assert set(families[1].split()) == {"AF_INET", "AF_INET6", "AF_UNIX", "AF_BLUETOOTH"}, "MQTT, doctor, Bluetooth"
