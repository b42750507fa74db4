"""A small file system of its own, mounted for a test; where that is not allowed the test is skipped."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def memory_disk(place: Path, size: str) -> Iterator[Path]:
    """Mount it, and take it away."""
    place.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(place)], check=False, capture_output=True
    )
    if not done or done.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def filled(folder: Path) -> Path:
    """A file that takes all the room there is."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


@contextmanager
def card(place: Path, size_mb: int, block: int = 1024) -> Iterator[Path]:
    """An ext4 with small blocks in a file, as a small card has them; nothing is kept back for root."""
    image = place.with_name(place.name + ".img")
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(size_mb << 20)
    make, mount = shutil.which("mkfs.ext4", path=f"{os.defpath}:/usr/sbin:/sbin"), shutil.which("mount")
    steps = [
        [make, "-q", "-F", "-b", str(block), "-m", "0", str(image)], [mount, "-o", "loop", str(image), str(place)],
    ]  # fmt: skip
    for step in steps:
        if None in step or subprocess.run([str(word) for word in step], check=False, capture_output=True).returncode:
            pytest.skip("needs mkfs.ext4 and the right to mount a file")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
