#!/usr/bin/env python3
"""Compiles the programs of the documentation, so that none of them can go stale.

    compile_docs.py COMPILER [FLAG...]

Takes every ```cpp block that contains "int main" from README.md and docs/*.md and gives it to the compiler with
-fsyntax-only and the project's include folder. A block that is opened as ```cpp must-not-compile shows a mistake that
the library refuses: it is compiled too, and has to fail with its `// error:` line in the compiler's answer.

Exit status: 0 if every block behaves as it claims, 1 if one does not, 2 if the command line is at fault or there is
nothing to check.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```cpp(?P<mark>[^\n]*)\n(?P<text>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
MUST_FAIL = "must-not-compile"
# What the compiler has to complain about, or any typing error would pass for the mistake that is meant.
EXPECTED = re.compile(r"^// error: (?P<text>.+)$", re.MULTILINE)
SECONDS_MAX = 300


@dataclass(frozen=True)
class Program:
    page: pathlib.Path
    line: int  # of the first line of code
    text: str
    must_fail: bool

    @property
    def place(self):
        return f"{self.page}:{self.line}"


class Fault(Exception):
    """The documentation itself is malformed."""


def programs_of(page, text):
    found = []
    for fence in FENCE.finditer(text):
        mark = fence["mark"].strip()
        line = text.count("\n", 0, fence.start()) + 2
        if mark not in ("", MUST_FAIL):
            raise Fault(f"{page}:{line - 1}: unknown mark {mark!r} behind ```cpp")
        if "int main" in fence["text"]:
            found.append(Program(page, line, fence["text"], mark == MUST_FAIL))
        elif mark:
            raise Fault(f"{page}:{line - 1}: {MUST_FAIL} needs a whole program, with int main")
    return found


def collect():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [program for page in pages
            for program in programs_of(page.relative_to(ROOT), page.read_text(encoding="utf-8"))]


def compile_one(program, command):
    # The #line makes the compiler name the page and the line in it.
    source = f'#line {program.line} "{program.page}"\n{program.text}'
    done = subprocess.run(command, input=source, cwd=ROOT, text=True, capture_output=True, timeout=SECONDS_MAX,
                          env={**os.environ, "LC_ALL": "C"}, check=False)
    if not program.must_fail:
        return None if done.returncode == 0 else f"does not compile:\n{done.stderr}"
    if done.returncode == 0:
        return "compiles, and must not"
    expected = EXPECTED.search(program.text)
    if not expected:
        return "must not compile, but has no line // error: with what the compiler says"
    if not re.search(expected["text"], done.stderr):
        return f"fails for another reason than {expected['text']!r}:\n{done.stderr}"
    return None


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        programs = collect()
    except Fault as fault:
        print(fault, file=sys.stderr)
        return 1
    if not any(not program.must_fail for program in programs):
        print("no program was found in README.md and docs/*.md: is the pattern still right?", file=sys.stderr)
        return 2
    command = [arguments[0], "-std=c++23", "-fsyntax-only", "-I", str(ROOT / "include"), *arguments[1:],
               "-x", "c++", "-"]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for program, fault in zip(programs, pool.map(lambda p: compile_one(p, command), programs)):
            print(f"{'FAIL' if fault else 'ok  '} {program.place}")
            if fault:
                failed += 1
                print(fault, file=sys.stderr)
    print(f"{len(programs)} programs, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
