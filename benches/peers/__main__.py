"""Measures spokeprobe beside oha, wrk, hey and the blackbox exporter, and prints a table in Markdown.

`scripts/bench-peers` installs and builds what is measured, and says here where it is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from clients import NotMeasured, Tools, oha, request_bytes, spokeprobe
from machine import Cores, describe, load_average
from rows import FULL, PARTS, QUICK, Bench
from server import Server
from table import Row, table

FOLDER = Path("target/bench-peers").resolve()


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-peers", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round of each: only to see that it works")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some parts of {', '.join(PARTS)}")
    arguments = parser.parse_args()
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    tools = find()
    nginx, openssl = found("NGINX", "nginx"), shutil.which("openssl", path=search_path())
    if not nginx or not openssl:
        print("bench-peers: nothing can be measured without nginx and openssl", file=sys.stderr)
        return 1
    cores = Cores.find()
    # What drives the rounds mostly sleeps; it does so beside the server, never beside a client.
    os.sched_setaffinity(0, {cores.server})
    rows: list[Row] = []
    loads = []
    with Server(nginx, openssl, cores.server, FOLDER / "server") as server:
        bench = Bench(server, cores, tools, str(FOLDER / "lib"), QUICK if arguments.quick else FULL)
        sizes = request_sizes(bench)
        for name in arguments.parts or PARTS:
            loads.append(f"{load_average()} before {name}")
            rows += PARTS[name](bench)
    print(f"Taken on {describe(cores)}. {'; '.join(versions(tools, nginx))}.")
    print(f"Load average over a minute: {', '.join(loads)}.")
    if arguments.quick:
        print("A QUICK RUN: one short round each, of no worth as a measurement.")
    print(f"\n{table(rows)}\n")
    for note in [*sizes, *(note for row in rows for note in row.notes)]:
        print(f"- {note}")
    failed = [row.figure for row in rows if row.met is None or not (row.met or arguments.quick)]
    return 1 if failed else 0


def search_path() -> str:
    return f"{FOLDER / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"


def found(variable: str, name: str) -> Path | None:
    """A program that the environment names, or that was installed."""
    path = os.environ.get(variable) or shutil.which(name, path=search_path())
    return Path(path).resolve() if path else None


def find() -> Tools:
    spokeprobe_path = found("SPOKEPROBE", "spokeprobe")
    if spokeprobe_path is None:
        raise SystemExit("bench-peers: spokeprobe is missing: run scripts/bench-peers")
    return Tools(
        spokeprobe=spokeprobe_path,
        measures=found("MEASURES", "measures"),
        saturate=found("SATURATE", "saturate"),
        oha=found("OHA", "oha"),
        wrk=found("WRK", "wrk"),
        hey=found("HEY", "hey"),
        blackbox=found("BLACKBOX", "prometheus-blackbox-exporter"),
    )


def versions(tools: Tools, nginx: Path) -> list[str]:
    """What each program says of itself, in few words. hey does not say."""
    asked = {
        "": [tools.spokeprobe, "--version"],
        "nginx ": [nginx, "-v"],
        "oha ": tools.oha and [tools.oha, "--version"],
        "wrk ": tools.wrk and [tools.wrk, "-v"],
        "blackbox_exporter ": tools.blackbox and [tools.blackbox, "--version"],
    }
    told = []
    environment = {**os.environ, "LD_LIBRARY_PATH": str(FOLDER / "lib")}
    for name, command in asked.items():
        if not command:
            told.append(f"{name}is missing")
            continue
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        line = (answer.stdout + answer.stderr).strip().splitlines()[0]
        words = [word.strip(",") for word in line.replace("/", " ").split()]
        version = next((word for word in words if any(letter.isdigit() for letter in word)), "of unknown version")
        told.append(f"{name or 'spokeprobe '}{version}")
    if tools.hey:
        told.append("hey as Debian has it")
    return told


def request_sizes(bench: Bench) -> list[str]:
    """The bytes of a request of each, as the server counts them: they should be alike."""
    clients = [spokeprobe(bench.tools.spokeprobe)]
    if bench.tools.oha:
        clients += [oha(bench.tools.oha, signed=True), oha(bench.tools.oha, signed=False)]
    told = []
    for client in clients:
        try:
            told.append(f"{client.name} {request_bytes(client, bench.server, bench.cores):,}")
        except NotMeasured as problem:
            print(f"bench-peers: {problem}", file=sys.stderr)
    return [f"bytes of a request, as nginx counts them: {', '.join(told)}"] if told else []


if __name__ == "__main__":
    sys.exit(main())
