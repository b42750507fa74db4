"""The docs are true: tables are those of the code, the decoder decodes, commands and make targets exist.

`python -m tests.test_docs` writes the tables into the pages that have them.
"""

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agent import cli as agent_cli
from agent.adapters.rig import of_adapter
from agent.core.budget import LEVELS, SPENT
from agent.core.cures import FAULTS
from agent.core.obd.pids import PIDS
from agent.core.replay_keys import KEYS
from agent.core.rig import faults as rig_faults
from agent.core.rig.elm327_faults import FAULTS as OBD_FAULTS
from agent.settings import AgentSettings
from bench import gpsd322, profiles
from hub import cli as hub_cli
from hub.settings import Hub as HubSettings
from wire import errors
from wire.kinds import KINDS, REASONS
from wire.messages import Batch, Event, Fix, Lost, Reading
from wire.ops.settings import Settings, check, load
from wire.schema import COLUMNS, named, row_of
from wire.topics import TOPICS
from wire.track import GENESIS, encode_batch

ROOT = Path(__file__).parent.parent
CONTRACT = ROOT / "docs" / "contract.md"
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BIN = re.compile(r"^(/opt/odograph|\.venv)/bin/")
TABLE = re.compile(r"<!-- table: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)


def topics_table() -> str:
    lines = ["| topic | QoS | retained | at most | what |", "|---|---|---|---|---|"]
    lines += [
        f"| `odo/1/<id>/{t.way}/{t.name}` | {t.qos} | {'yes' if t.retain else 'no'} | {t.max_bytes} B | {t.about} |"
        for t in TOPICS
    ]
    return "\n".join(lines) + "\n"


def columns_table() -> str:
    lines = ["| key | name | unit | scale | differences | range | what |", "|---|---|---|---|---|---|---|"]
    lines += [
        f"| `{c.key}` | `{c.name}` | {c.unit} | {c.scale:g} | {c.order} | {c.low} … {c.high} | {c.about} |"
        for c in COLUMNS
    ]
    return "\n".join(lines) + "\n"


def errors_table() -> str:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.OdographError) and kind is not errors.OdographError
    ]
    lines = ["| code | exit status | try again? | when |", "|---|---|---|---|"]
    for kind in kinds:
        about = (kind.__doc__ or "").strip().splitlines()[0]
        lines.append(f"| `{kind.code}` | {kind.exit_status} | {'yes' if kind.transient else 'no'} | {about} |")
    return "\n".join(lines) + "\n"


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a section; None for a plain setting."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _setting(name: str, field: FieldInfo, *, only_if: str = "") -> str:
    default = "" if field.default in {None, ""} else f"`{json.dumps(field.default, default=str).strip(chr(34))}`"
    return f"| `{name}` | {f'must be set{only_if}' if field.is_required() else default} | {field.description} |"


def settings_table(model: type[BaseModel]) -> str:
    lines = ["| setting | default | what |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        section = _section(field)
        if section is None:
            lines.append(_setting(name, field))
            continue
        only_if = f", if `[{name}]` is given" if field.default is None else ""
        lines += [_setting(f"{name}.{n}", inner, only_if=only_if) for n, inner in section.model_fields.items()]
    return "\n".join(lines) + "\n"


def rig_faults_table() -> str:
    lines = ["| `--fault` | what the rig does |", "|---|---|"]
    lines += [f"| `{name}` | {about} |" for name, about in rig_faults.FAULTS.items()]
    lines += [f"| `obd:{name}` | {about} |" for name, about in of_adapter().items()]
    return "\n".join(lines) + "\n"


def kinds_table() -> str:
    lines = ["| kind | when |", "|---|---|", *(f"| `{kind}` | {about} |" for kind, about in KINDS.items())]
    return "\n".join(lines) + "\n"


def reasons_table() -> str:
    lines = ["| reason | what went, and why |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{reason}` | {about} |" for reason, about in REASONS.items())]) + "\n"


def doctor_table() -> str:
    lines = ["| fault | what to do |", "|---|---|", *(f"| `{fault}` | {cure} |" for fault, cure in FAULTS.items())]
    return "\n".join(lines) + "\n"


def pids_table() -> str:
    lines = ["| PID | name | VSS | unit | range | bytes | asked |", "|---|---|---|---|---|---|---|"]
    for number, pid in sorted(PIDS.items()):
        pace = "fast" if pid.pace == "fast" else f"every {pid.period_ms // 1000} s"
        for part in pid.parts:
            span = "words" if part.words else f"{part.low:g} … {part.high:.6g}"
            vss = part.signal.vss.removeprefix("Vehicle.OBD.")
            lines.append(
                f"| `{number:02X}` | `{part.signal.key}` | {vss} | {part.signal.unit} | {span} | {pid.width} | {pace} |"
            )
    return "\n".join(lines) + "\n"


def bus_faults_table() -> str:
    lines = ["| fault | what the adapter does |", "|---|---|"]
    return "\n".join(lines + [f"| `{name}` | {text} |" for name, text in OBD_FAULTS.items()]) + "\n"


def replay_keys_table() -> str:
    lines = ["| key | what |", "|---|---|", *(f"| `{key}` | {about} |" for key, about in KEYS.items())]
    return "\n".join(lines) + "\n"


def budget_table() -> str:
    lines = ["| step | ε | heartbeat moving · parked | track | live bytes left, about |", "|---|---|---|---|---|"]
    for step, level in enumerate(LEVELS):
        spread = "told as 10 km" if step == SPENT else f"× {level.eps:g}, at most 100 m" if level.eps > 1 else "as set"
        beat = f"× {level.moving:g} · × {level.parked:g}" if level.parked > 1 or level.moving > 1 else "as set"
        track = "waits" if level.held else f"every {level.upload_s / 60:g} min, one batch" if level.rows else "as set"
        lines.append(f"| {step} | {spread} | {beat} | {track} | {level.live:.0%} |")
    return "\n".join(lines) + "\n"


TABLES: dict[str, Callable[[], str]] = {
    "kinds": kinds_table,
    "reasons": reasons_table,
    "doctor": doctor_table,
    "topics": topics_table,
    "columns": columns_table,
    "errors": errors_table,
    "settings": partial(settings_table, AgentSettings),
    "rig_faults": rig_faults_table,
    "hub_settings": partial(settings_table, HubSettings),
    "pids": pids_table,
    "bus_faults": bus_faults_table,
    "replay_keys": replay_keys_table,
    "budget": budget_table,
    "profiles": profiles.table,
    "gpsd322": lambda: gpsd322.table([gpsd322.held(*each) for each in gpsd322.recordings()]),
}
INSTALLER, FLEET_OPS = ROOT / "docs" / "installer.md", ROOT / "docs" / "fleet-ops.md"
OBD, RECEIVERS = ROOT / "docs" / "obd.md", ROOT / "docs" / "receivers.md"
TABLED = (CONTRACT, INSTALLER, FLEET_OPS, OBD, RECEIVERS)


def filled(text: str) -> str:
    return TABLE.sub(lambda found: f"<!-- table: {found[1]} -->\n{TABLES[found[1]]()}<!-- end -->", text)


def test_the_tables_are_those_of_the_code() -> None:
    texts = [page.read_text(encoding="utf-8") for page in TABLED]
    assert {found[1] for text in texts for found in TABLE.finditer(text)} == set(TABLES)
    for text in texts:
        assert text == filled(text), "run: python -m tests.test_docs"


def test_every_kind_of_event_that_the_agent_makes_is_in_the_table() -> None:
    made = set()
    for path in (ROOT / "agent").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        made |= set(re.findall(r'(?:add_event|Fact|_event)\(\s*"([a-z-]+)"', text))
    assert {"tow", "battery-low", "fork", "wrong-date"} <= made, "the search finds them"
    assert made <= set(KINDS), "name it in wire/kinds.py"


def test_the_published_decoder_decodes() -> None:
    text = CONTRACT.read_text(encoding="utf-8")
    source = re.search(r"```python decoder\n(.*?)```", text, re.DOTALL)
    assert source is not None
    assert len([line for line in source[1].splitlines() if line.strip()]) <= 20
    space: dict[str, Any] = {}
    exec(source[1], space)
    rows = [
        row_of(
            Fix(1_760_000_000_000 + 1000 * i + i % 7, 41.2 + i * 1e-5, -96.1 - i * i * 1e-6, 300.1, 13.37, 3.0),
            Reading(rpm=800.25 + i) if i % 3 == 1 else Reading(),
        )
        for i in range(10)
    ]
    batch = Batch(
        "AbCdEf01-_x", 5, 17, 1, GENESIS, GENESIS,
        rows=tuple(zip((5, 7, 8, 9, 10, 11, 12, 13, 16, 17), rows, strict=True)),
        events=(Event(6, 1, "sos"),), lost=(Lost(14, 15, "dropped"),),
    )  # fmt: skip
    decoded = space["fixes"](encode_batch(batch))
    by_key = {column.key: column.name for column in COLUMNS}
    assert [fix["seq"] for fix in decoded] == [seq for seq, _ in batch.rows]
    for fix, (_, row) in zip(decoded, batch.rows, strict=True):
        assert {by_key[k]: v for k, v in fix.items() if k != "seq"} == pytest.approx(named(row), abs=1e-7)


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            joined = re.sub(r"\\\n\s*", "", block)
            found += [
                (page.name, line.strip()) for line in joined.splitlines() if line.strip() and not line.startswith("#")
            ]
    return found


def test_there_are_commands_to_test() -> None:
    programs = {BIN.sub("", line.split()[0]) for _, line in commands()}
    assert {"make", "odograph-agent", "odograph-hub"} <= programs


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_of_the_docs_exist(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line, comments=True)
    words[0] = BIN.sub("", words[0])
    words = words[: words.index("|")] if "|" in words else words
    words = words[: words.index(">")] if ">" in words else words
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert words[1].partition("=")[0] in targets
        return
    parsers = {"odograph-agent": agent_cli.parser, "odograph-hub": hub_cli.parser}
    if words[0] not in parsers:
        assert words[0] in KNOWN, f"{page}: {words[0]} is not a command that the tests know"
        return
    try:
        parsers[words[0]]().parse_args(words[1:])
    except SystemExit as end:
        status = end.code
    else:
        status = 0
    assert status == 0, f"{page}: {line}: {capsys.readouterr().err}"


KNOWN = frozenset(
    [
        "apt-get",
        "cd",
        "chown",
        "cp",
        "curl",
        "git",
        "install",
        "openssl",
        "pip",
        "python3",
        "runuser",
        "scp",
        "systemctl",
        "udevadm",
        "useradd",
    ],
)


@pytest.mark.parametrize(("page", "model"), [(INSTALLER, AgentSettings), (FLEET_OPS, HubSettings)])
def test_settings_that_the_docs_show_are_fine(page: Path, model: type[Settings]) -> None:
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        check(tomllib.loads(block), model, source=page.name)


LEAST: dict[str, Any] = {
    "device": {"id": "gw-1", "secret_file": "/s"},
    "hub": {"url": "mqtt://hub"},
    "gnss": {"path": "/dev/gnss"},
}


def test_parts_of_settings_that_the_docs_show_are_fine() -> None:
    parts = re.findall(r"```toml part\n(.*?)```", INSTALLER.read_text(encoding="utf-8"), re.DOTALL)
    assert len(parts) >= 6
    for part in parts:
        check({**LEAST, **tomllib.loads(part)}, AgentSettings, source=INSTALLER.name)


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target, part in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name} links to {target}"
            if part:
                heads = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
                assert part in anchors, f"{page.name} links to {target}#{part}"


@pytest.mark.parametrize("path", sorted((ROOT / "firmware-configs").glob("*.toml")), ids=lambda p: p.name)
def test_gateway_models_pass_the_check(path: Path) -> None:
    assert load(path, AgentSettings).device.id.startswith("gw-")


def test_no_registry_and_no_machine_is_named() -> None:
    words = ["registry." + "npmjs", "files.python" + "hosted", "py" + "pi.org", "/work" + "/"]
    for path in [
        *ROOT.glob("*.lock"),
        ROOT / "hub/pages/package-lock.json",
        ROOT / "Makefile",
        *PAGES,
        *ROOT.glob("packaging/*"),
    ]:
        text = path.read_text(encoding="utf-8")
        assert not [word for word in words if word in text], path.name


if __name__ == "__main__":
    for tabled in TABLED:
        tabled.write_text(filled(tabled.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
