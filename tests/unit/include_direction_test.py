#!/usr/bin/env python3
"""Checks that includes point inward: include_direction_test.py [ROOT].

Each folder under src/ is a CMake target, and its LINK line says what it may include; the rings say that the
link lines themselves point inward. Before the tree is looked at, every rule is tried on a small tree with
one planted violation, so that a rule which finds nothing is known to be able to.
"""
import re
import sys
import tempfile
from pathlib import Path

# A ring may include those before it; folders of the same ring do not know each other.
RINGS = [
    ["core/base"],
    ["core/http", "core/ws", "core/jose"],
    ["core/auth"],
    ["io"],
    ["server"],
    ["feature"],
    ["main"],
]

STD = re.compile(r"^[a-z0-9_]+$")  # <vector>; <unistd.h> and <boost/...> are not of the standard library
OUTSIDE = {"boost/asio/awaitable.hpp"}  # what a public header may include of others
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)
UNFINISHED = "TODO" + "(now)"
SOURCES = {".h", ".cc"}
TEXTS = SOURCES | {".py", ".mjs", ".js", ".txt", ".cmake", ".md"}
NOT_OURS = {"build", "node_modules", ".git", ".cache", "corpus", "__pycache__"}


def ring_of(folder):
    """The place of a folder such as "core/ws" or "feature/config" among the rings, or None."""
    for rank, names in enumerate(RINGS):
        if any(folder == name or folder.startswith(name + "/") for name in names):
            return rank
    return None


def strip_comments(text):
    text = re.sub(r"/\*.*?\*/", lambda match: "\n" * match.group().count("\n"), text, flags=re.DOTALL)
    return re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)


def includes_of(path):
    """(line, quoted path or None, bracketed path or None) of every include."""
    text = strip_comments(path.read_text(encoding="utf-8"))
    return [(text.count("\n", 0, match.start(match.lastindex)) + 1, match[1], match[2])
            for match in INCLUDE.finditer(text)]


class Targets:
    """What the CMakeLists.txt of the folders under src/ say about links."""

    CALL = re.compile(r"^\s*(sallyport_library|sallyport_test)\(([^)]*)\)", re.MULTILINE)

    def __init__(self, source):
        self.folder_of = {}  # target -> folder
        self.public = {}     # target -> targets that whoever links it may include as well
        self.own = {}        # folder -> targets that its own files may include
        self.libraries = set()  # folders that are a library: all but the outermost
        for path in sorted(source.rglob("CMakeLists.txt")):
            folder = path.parent.relative_to(source).as_posix()
            text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
            for kind, arguments in self.CALL.findall(text):
                self._take(folder, kind, arguments.split())

    def _take(self, folder, kind, words):
        name, group, links = words[0], "", {"LINK": [], "PRIVATE_LINK": []}
        for word in words[1:]:
            if word in ("SOURCES", "LINK", "PRIVATE_LINK"):
                group = word
            elif group in links:
                links[group].append(word)
        if kind == "sallyport_library":
            self.folder_of[name] = folder
            self.libraries.add(folder)
            self.public[name] = links["LINK"]
        self.own.setdefault(folder, set()).update(links["LINK"], links["PRIVATE_LINK"])

    def reach(self, folder):
        """The folders that the link lines let this one include."""
        seen, waiting = set(), list(self.own.get(folder, ()))
        while waiting:
            target = waiting.pop()
            if target in self.public and target not in seen:
                seen.add(target)
                waiting.extend(self.public[target])
        return {self.folder_of[target] for target in seen}


def check_links(source, targets):
    for target, folder in targets.folder_of.items():
        for other in targets.own[folder]:
            below = targets.folder_of.get(other)
            if below is None or below == folder:
                continue
            if ring_of(folder) is None or ring_of(below) is None:
                yield f"src/{folder}/CMakeLists.txt: {target} and {other} are not both in a ring"
            elif ring_of(below) >= ring_of(folder):
                yield f"src/{folder}/CMakeLists.txt: {target} links {other}, which is not further in"


def check_source(root, path, targets):
    source = root / "src"
    folder = path.parent.relative_to(source).as_posix()
    name = path.relative_to(root).as_posix()
    if ring_of(folder) is None:
        yield f"{name}: the folder is in no ring"
        return
    reach = targets.reach(folder)
    for line, quoted, _ in includes_of(path):
        if quoted is None:
            continue
        where = f"{name}:{line}"
        if quoted.startswith("sallyport/"):
            if not (root / "include" / quoted).is_file():
                yield f'{where}: there is no public header "{quoted}"'
            continue
        if not (source / quoted).is_file():
            yield f'{where}: "{quoted}" is no path from src/'
            continue
        other = Path(quoted).parent.as_posix()
        if other == folder:
            continue
        if ring_of(other) is None or ring_of(other) >= ring_of(folder):
            yield f'{where}: "{quoted}" is not further in'
        elif folder in targets.libraries and other not in reach:
            yield f'{where}: "{quoted}" is not in reach of the LINK line of src/{folder}'


def check_own_header_first(root, path):
    """foo.cc and foo_test.cc include foo.h before anything else, so that it stands on its own."""
    if path.suffix != ".cc":
        return
    stem = path.stem.removesuffix("_test")
    folder = path.parent.relative_to(root / "src")
    own = (folder / f"{stem}.h").as_posix()
    if not (root / "src" / own).is_file():
        own = f"sallyport/{stem}.h"
        if not (root / "include" / own).is_file() or path.stem != stem:
            return
        # A file that merely shares a public header's name need not include it.
        if own not in [quoted for _, quoted, _ in includes_of(path)]:
            return
    found = includes_of(path)
    if not found or found[0][1] != own:
        line = found[0][0] if found else 1
        yield f'{path.relative_to(root).as_posix()}:{line}: "{own}" must be the first include'


def check_public_header(root, path):
    name = path.relative_to(root).as_posix()
    for line, quoted, bracketed in includes_of(path):
        where = f"{name}:{line}"
        if quoted is not None:
            if not quoted.startswith("sallyport/") or not (root / "include" / quoted).is_file():
                yield f'{where}: a public header includes "{quoted}"'
        elif bracketed.startswith("openssl/"):
            yield f"{where}: a public header shows OpenSSL: <{bracketed}>"
        elif not STD.match(bracketed) and bracketed not in OUTSIDE:
            yield f"{where}: a public header includes <{bracketed}>"


def check_finished(root, path):
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if UNFINISHED in line:
            yield f"{path.relative_to(root).as_posix()}:{number}: {UNFINISHED} is left"


def files_below(folder, endings):
    for path in sorted(folder.rglob("*")):
        if path.suffix in endings and path.is_file() and not NOT_OURS.intersection(path.parts):
            yield path


def check(root):
    findings = []
    source = root / "src"
    targets = Targets(source)
    findings.extend(check_links(source, targets))
    for path in files_below(source, SOURCES):
        findings.extend(check_source(root, path, targets))
        findings.extend(check_own_header_first(root, path))
    for path in files_below(root / "include", SOURCES):
        findings.extend(check_public_header(root, path))
    for part in ("src", "include", "tests", "examples", "fuzz", "bench", "cmake", "script", "clients", "docs"):
        if (root / part).is_dir():
            for path in files_below(root / part, TEXTS):
                findings.extend(check_finished(root, path))
    return findings


# ---- The rules, tried

def lib(name, link=""):
    return f"sallyport_library({name}\n  SOURCES a.cc\n  LINK {link})\n"


GOOD = {
    "src/core/base/CMakeLists.txt": lib("sallyport_base", "sallyport_headers"),
    "src/core/base/bytes.h": "#pragma once\n#include <span>\n",
    "src/core/base/bytes.cc": '#include "core/base/bytes.h"\n#include <openssl/evp.h>\n',
    "src/core/base/bytes_test.cc": '#include "core/base/bytes.h"\n\n#include <gtest/gtest.h>\n',
    "src/core/http/CMakeLists.txt": lib("sallyport_http", "sallyport_base"),
    "src/core/http/head.h": '#pragma once\n#include "core/base/bytes.h"\n',
    "src/core/ws/CMakeLists.txt": lib("sallyport_ws", "sallyport_base"),
    "src/core/ws/frame.h": '#pragma once\n#include "core/base/bytes.h"\n',
    "src/core/auth/CMakeLists.txt": lib("sallyport_auth", "sallyport_http"),
    "src/core/auth/machine.h": '#include "core/http/head.h"\n#include "core/base/bytes.h"\n',
    "src/io/CMakeLists.txt": lib("sallyport_io", "sallyport_base"),
    "src/io/loop.h": '#include "core/base/bytes.h"\n',
    "src/server/CMakeLists.txt": lib("sallyport_server", "sallyport_io sallyport_auth"),
    "src/server/app.h": '#include "io/loop.h"\n#include "core/auth/machine.h"\n#include "sallyport/app.h"\n',
    "src/feature/one/CMakeLists.txt": lib("sallyport_one", "sallyport_server"),
    "src/feature/one/one.h": '#include "server/app.h"\n',
    "src/feature/two/CMakeLists.txt": lib("sallyport_two", "sallyport_server"),
    "src/feature/two/two.h": '// #include "feature/one/one.h"\n#include "server/app.h"\n',
    "src/main/main.cc": '#include "feature/one/one.h"\n#include "feature/two/two.h"\n',
    "include/sallyport/app.h": '#include <boost/asio/awaitable.hpp>\n#include <vector>\n#include "sallyport/log.h"\n',
    "include/sallyport/log.h": "#pragma once\n#include <string>\n",
}

# One file more or other, and a word of what must be said about it.
PLANTED = [
    ("src/core/base/worse.h", '#include "core/ws/frame.h"\n', "worse.h:1: \"core/ws/frame.h\" is not further in"),
    ("src/core/ws/worse.h", '#include "core/http/head.h"\n', "is not further in"),
    ("src/core/auth/worse.h", '\n#include "server/app.h"\n', "worse.h:2: \"server/app.h\" is not further in"),
    ("src/core/auth/worse.h", '#include "core/ws/frame.h"\n', "is not in reach of the LINK line"),
    ("src/io/worse.h", '#include "core/http/head.h"\n', "is not in reach of the LINK line"),
    ("src/feature/two/two.h", '#include "feature/one/one.h"\n', "is not further in"),
    ("src/server/worse.h", '#include "feature/one/one.h"\n', "is not further in"),
    ("src/server/worse.h", '#include "app.h"\n', "is no path from src/"),
    ("src/server/worse.h", '#include "sallyport/none.h"\n', "there is no public header"),
    ("src/extra/worse.h", "#pragma once\n", "the folder is in no ring"),
    ("src/core/base/CMakeLists.txt", lib("sallyport_base", "sallyport_ws"), "sallyport_base links sallyport_ws"),
    ("src/feature/two/CMakeLists.txt", lib("sallyport_two", "sallyport_one"), "sallyport_two links sallyport_one"),
    ("src/core/base/bytes.cc", '#include <span>\n#include "core/base/bytes.h"\n', "must be the first include"),
    ("src/core/base/bytes_test.cc", '#include <gtest/gtest.h>\n', "must be the first include"),
    ("src/core/base/bytes.cc", "int x;\n", "must be the first include"),
    ("src/server/log.cc", '#include <string>\n#include "sallyport/log.h"\n', "must be the first include"),
    ("include/sallyport/log.h", "#include <openssl/ssl.h>\n", "shows OpenSSL"),
    ("include/sallyport/log.h", "#include <unistd.h>\n", "includes <unistd.h>"),
    ("include/sallyport/log.h", "#include <boost/json.hpp>\n", "includes <boost/json.hpp>"),
    ("include/sallyport/log.h", '#include "core/base/bytes.h"\n', 'includes "core/base/bytes.h"'),
    ("src/io/late.cc", f"// {UNFINISHED}: finish\n", "is left"),
    ("tests/late.mjs", f"// {UNFINISHED}: finish\n", "is left"),
]


def findings_with(path=None, text=None):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, content in {**GOOD, **({path: text} if path else {})}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, encoding="utf-8")
        return check(root)


def try_the_rules():
    faults = [f"the good tree is not clean: {finding}" for finding in findings_with()]
    for path, text, word in PLANTED:
        found = findings_with(path, text)
        if not any(word in finding for finding in found):
            faults.append(f"planted in {path}: {text!r}, expected {word!r}, found {found}")
    return faults


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])
    faults = try_the_rules()
    for fault in faults:
        print(f"self-test: {fault}")
    if not (root / "src").is_dir() or not any(files_below(root / "src", SOURCES)):
        print(f"there are no sources below {root}/src")
        return 1
    findings = check(root)
    for finding in findings:
        print(finding)
    print(f"{len(PLANTED)} planted violations tried, {len(findings)} found in {root}")
    return 1 if faults or findings else 0


if __name__ == "__main__":
    sys.exit(main())
