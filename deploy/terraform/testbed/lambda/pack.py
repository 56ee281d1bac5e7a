#!/usr/bin/env python3
"""Writes hoot.zip with hoot.py, always the same bytes; `--check` says whether it is what hoot.py gives."""

import io
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent


def packed() -> bytes:
    memory = io.BytesIO()
    entry = zipfile.ZipInfo("hoot.py", date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o100644 << 16
    entry.create_system = 3
    # Stored, not deflated: the bytes do not depend on a library's version.
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(entry, (HERE / "hoot.py").read_bytes())
    return memory.getvalue()


if __name__ == "__main__":
    target = HERE / "hoot.zip"
    if "--check" in sys.argv[1:]:
        sys.exit(0 if target.read_bytes() == packed() else f"{target} is not what hoot.py gives: run {__file__}")
    target.write_bytes(packed())
