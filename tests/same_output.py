"""Runs the command lines of same_output/cases.txt with two builds of thingsvision, and compares all that they say and write.

    python3 tests/same_output.py OLD_BINARY NEW_BINARY                             # some minutes on two cores
    python3 tests/same_output.py OLD_BINARY NEW_BINARY --keep DIR --only rdm       # keeps the outputs; OLD's are not made again

Each case has a fresh folder with the same pictures and arrays. Exit status, stdout, stderr and the bytes of every file are
compared, records field by field. Fails if anything differs but for what the lists below name. Needs Python alone.
"""

import argparse
import concurrent.futures
import difflib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "same_output"))
import inputs
import lab

# What differs from run to run in what is said and in records.
MASKS = [
    (r"/[^\s\"'`<>]*same-output-\w+", "LAB"),
    (r"\b\d+\.\d s\b", "[time]"),
    (r"\b[\d.,]+ images/s", "[rate]"),
    (r"\([\d.]+ .?B free\)", "([space] free)"),
    (r"\babout \d+ (s|min|h)\b", "about [time]"),
    (r"(?m)( to do .*?) +\d+ (s|min|h)$", r"\1 [time]"),
    (r"\bthingsvision \d+\.\d+\.\d+", "thingsvision [version]"),
]
# Files that are compared field by field.
RECORDS = {"run.json", "study.json"}
# Their fields that differ from run to run: times, and a hash of records that have them.
VARYING = {"run.json: seconds", "study.json: sha256"}
# Fields that only those of NEW or only those of OLD may have.
NEW_FIELDS = {"run.json: request"}
GONE_FIELDS = set()
# Command lines that may say something else.
MAY_SAY_ELSE = [r"(rdm|rsa|plot)( \w+)? (--help|-h)"]

# Lines of a difference that are shown.
SHOWN = 12


# ---- comparing -------------------------------------------------------------------------------------------------------------


def compare(old: pathlib.Path, new: pathlib.Path) -> tuple[int, list[str], list[str]]:
    """The number of files, the differences, and those that are allowed."""
    trees = [{path.relative_to(side): path for path in side.rglob("*")} for side in (old, new)]
    differences, allowed = [], []
    for name in sorted(trees[0].keys() | trees[1].keys()):
        paths = [tree.get(name) for tree in trees]
        if None in paths:
            differences.append(f"{name}: only {'NEW' if paths[0] is None else 'OLD'} has it")
        elif kind(paths[0]) != kind(paths[1]):
            differences.append(f"{name}: {kind(paths[0])} and {kind(paths[1])}")
        elif kind(paths[0]) == "file":
            found, fine = compare_files(name, *[path.read_bytes() for path in paths])
            differences += found
            allowed += fine
    return sum(path.is_file() for path in trees[0].values()), differences, allowed


def kind(path: pathlib.Path) -> str:
    return f"link to {mask(os.readlink(path))}" if path.is_symlink() else "folder" if path.is_dir() else "file"


def mask(text: str) -> str:
    for pattern, name in MASKS:
        text = re.sub(pattern, name, text)
    return text


def compare_files(name: pathlib.Path, old: bytes, new: bytes) -> tuple[list[str], list[str]]:
    if old == new:
        return [], []
    is_said, is_record = name.parts[0] == "said", name.name in RECORDS
    try:
        texts = [mask(content.decode()) if is_said or is_record else content.decode() for content in (old, new)]
        if is_record:
            return compare_records(name, *[json.loads(text) for text in texts])
    except UnicodeDecodeError:
        return [compare_bytes(name, old, new)], []
    except json.JSONDecodeError:
        pass
    if texts[0] == texts[1]:
        return [], []
    lines = [text.splitlines() for text in texts]
    line = lines[0][0].removeprefix("thingsvision ") if is_said else ""
    difference = f"{name}: {line}\n{shown(*lines)}"
    # The command line and its exit status stay.
    may = lines[0][:2] == lines[1][:2] and any(re.fullmatch(pattern, line) for pattern in MAY_SAY_ELSE)
    return ([], [difference]) if may else ([difference], [])


def shown(old: list[str], new: list[str]) -> str:
    lines = list(difflib.unified_diff(old, new, "OLD", "NEW", lineterm="", n=1))
    more = [f"… {len(lines) - SHOWN} lines more"] * (len(lines) > SHOWN)
    return "\n".join("      " + line[:160] for line in lines[:SHOWN] + more)


def compare_bytes(name: pathlib.Path, old: bytes, new: bytes) -> str:
    places = [place for place, (one, other) in enumerate(zip(old, new)) if one != other]
    first = places[0] if places else min(len(old), len(new))
    return f"{name}: {len(places)} bytes differ, from byte {first} on; {len(old)} and {len(new)} bytes"


def compare_records(name: pathlib.Path, old, new) -> tuple[list[str], list[str]]:
    """Two records, field by field."""
    sides = [dict(fields(record)) for record in (old, new)]
    differences, allowed = [], []
    for field in sorted(sides[0].keys() | sides[1].keys()):
        old, new = (side.get(field) for side in sides)
        # It may be `request` that is named above, or `layers.shape` of `layers.3.shape`.
        parts = [part for part in field.split(".") if not part.isdigit()]
        names = {f"{name.name}: {'.'.join(parts[:depth])}" for depth in range(1, len(parts) + 1)}
        if old == new or names & VARYING:
            continue
        if old is not None and new is not None:
            differences.append(f"{name}: {field} is {old[:80]} and {new[:80]}")
            continue
        what, known = ("new", NEW_FIELDS) if old is None else ("gone", GONE_FIELDS)
        (allowed if names & known else differences).append(f"{name}: {what} field {field}")
    return differences, allowed


def fields(value, place=""):
    """The fields of a record by their places, such as `layers.3.shape.0`, with their values as JSON."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not isinstance(value, (dict, list)) or not value:
        yield place, json.dumps(value)
    for name, child in children:
        yield from fields(child, f"{place}.{name}" if place else str(name))


# ---- the whole -------------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=lambda path: pathlib.Path(path).resolve(), metavar="OLD_BINARY")
    parser.add_argument("new", type=lambda path: pathlib.Path(path).resolve(), metavar="NEW_BINARY")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="keep all outputs, in DIR/old and DIR/new")
    parser.add_argument("--only", action="append", metavar="NAME", help="cases whose name has NAME; repeat for more")
    arguments = parser.parse_args()
    place = arguments.keep or pathlib.Path(tempfile.mkdtemp(prefix="same-output-of-"))
    shutil.rmtree(place / "given", ignore_errors=True)
    (place / "given").mkdir(parents=True)
    inputs.make(place / "given")
    rows, failed, pool = [], 0, concurrent.futures.ThreadPoolExecutor(2)
    for case in lab.read_cases():
        if arguments.only and not any(name in case.name for name in arguments.only):
            continue
        begun = time.monotonic()
        sides = ((arguments.old, "old"), (arguments.new, "new"))
        list(pool.map(lambda side: lab.run_case(side[0], case, place / "given", place / side[1] / case.name), sides))
        files, differences, allowed = compare(place / "old" / case.name, place / "new" / case.name)
        for line in differences + [f"allowed: {line}" for line in summary(allowed)]:
            print(f"  {case.name}: {line}")
        rows.append((case.name, files, len(differences), len(allowed), time.monotonic() - begun))
        failed += bool(differences)
    print(f"\n{'case':24} {'files':>8} {'differences':>12} {'allowed':>8} {'seconds':>8}")
    for name, files, differences, allowed, seconds in rows:
        print(f"{name:24} {files:8} {differences:12} {allowed:8} {seconds:8.1f}")
    result = f"{failed} cases differ" if failed else "no differences"
    print(f"{len(rows)} cases, {sum(row[1] for row in rows)} files; {result}")
    if not arguments.keep:
        shutil.rmtree(place)
    sys.exit(1 if failed or not rows else 0)


def summary(allowed: list[str]) -> list[str]:
    """New fields are named once, without their places in lists and whose they are."""
    return sorted({re.sub(r"^\S*/|\.\d+(?=\.|$)", "", line) if " field " in line else line for line in allowed})


if __name__ == "__main__":
    main()
