#!/usr/bin/env python3
"""Compares the whole table of docs/close-codes.md with the one in src/core/auth/failure.cc, row by row.

Exit status: 0 if they say the same, 1 if not, or if either cannot be found.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS = ("name", "status", "HTTP reason", "iana", "44xx", "close reason", "Retry-After", "level", "advice")


def rows_of_code(text):
    advice = dict(re.findall(r'case (k\w+): return "([^"]+)";', text))
    rows = []
    for row in re.findall(r"^ *FailureRow\{(k[^}]+)\}", text, re.MULTILINE):
        _, name, status, http, iana, private, close, _, retry, what, level = (
            cell.strip().strip('"') for cell in row.split(","))
        rows.append((name, status, http, iana, private, close, "yes" if retry == "true" else "",
                     level.removeprefix("k").lower(), advice[what]))
    return rows


def rows_of_page(text):
    section = text.partition("\n## The whole table\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [tuple(cell.strip().strip("`") for cell in line.strip("|").split("|")) for line in lines]


def main():
    code = rows_of_code((ROOT / "src/core/auth/failure.cc").read_text(encoding="utf-8"))
    page = rows_of_page((ROOT / "docs/close-codes.md").read_text(encoding="utf-8"))
    if not code or not page:
        print("a table was not found: has its form changed?")
        return 1
    faults = [f"the code has {len(code)} rows and the page {len(page)}"] if len(code) != len(page) else []
    for ours, theirs in zip(code, page):
        faults += [f"{ours[0]}: {column} is {a!r} in the code and {b!r} on the page"
                   for column, a, b in zip(COLUMNS, ours, theirs) if a != b]
        if len(theirs) != len(COLUMNS):
            faults.append(f"{ours[0]}: the page has {len(theirs)} columns")
    print("\n".join(faults) or f"{len(code)} rows agree")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
