"""Runs the media tests against native modules built with AddressSanitizer and UndefinedBehaviorSanitizer.

``python -m tools.sanitize [TEST ...]`` copies the sources to ``build/sanitize``, compiles every ``media/**/*.pyx``
there with bounds checks and both sanitizers, and runs the given tests (default: those of the native modules) with the
sanitizers loaded. Anything a sanitizer says ends the run with an error. gcc and its sanitizer libraries are needed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "build" / "sanitize"
FOLDERS = ("media", "tests", "tools")
TESTS = (
    "tests/unit/media/test_codecs.py",
    "tests/unit/media/test_coders.py",
    "tests/unit/media/test_comfort.py",
    "tests/unit/media/test_dtmf.py",
    "tests/unit/media/test_hearing.py",
    "tests/unit/media/test_plc.py",
)
FLAGS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer")
DIRECTIVES = {"language_level": 3, "boundscheck": True, "initializedcheck": True, "cdivision": True}

BUILD = f"""
from pathlib import Path
from Cython.Build import cythonize
from setuptools import Extension, setup
modules = [
    Extension(".".join(p.with_suffix("").parts), [str(p)], include_dirs=["media"],
              extra_compile_args={list(FLAGS)!r}, extra_link_args=["-fsanitize=address,undefined"])
    for p in sorted(Path("media").rglob("*.pyx"))
]
setup(name="sanitized", packages=[], ext_modules=cythonize(modules, build_dir="c", compiler_directives={DIRECTIVES!r}))
"""


def copy_sources() -> None:
    """Bring the copy up to date; what was compiled and has not changed stays."""
    PLACE.mkdir(parents=True, exist_ok=True)
    for name in FOLDERS:
        for source in (ROOT / name).rglob("*"):
            if source.is_dir() or source.suffix in {".so", ".pyc"}:
                continue
            target = PLACE / source.relative_to(ROOT)
            if not target.exists() or target.read_bytes() != source.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
    shutil.copy2(ROOT / "pyproject.toml", PLACE / "pyproject.toml")


def compile_modules() -> int:
    """Exit status of the build."""
    command = [sys.executable, "-c", BUILD, "--quiet", "build_ext", "--inplace", "--parallel", "2"]
    return subprocess.run(command, cwd=PLACE, check=False).returncode


def find_runtime(name: str) -> str:
    """Path of a sanitizer's library, as gcc knows it."""
    answer = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def run_tests(tests: Sequence[str]) -> int:
    """Exit status: that of pytest, or 1 if a sanitizer complained."""
    # Python itself frees little at its end, so leaks are not looked for here.
    environment = os.environ | {
        "LD_PRELOAD": f"{find_runtime('libasan.so')} {find_runtime('libubsan.so')}",
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": str(PLACE),
    }
    # The installed package comes before PYTHONPATH in an editable install; the copy must come first of all.
    start = f"import sys; sys.path.insert(0, {str(PLACE)!r}); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    command = [sys.executable, "-c", start, "-q", "-s", "-p", "no:cacheprovider", "--rootdir", str(PLACE), *tests]
    complaints = 0
    with subprocess.Popen(
        command, cwd=PLACE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="")
            complaints += "runtime error:" in line or "AddressSanitizer" in line
    if complaints:
        print(f"{complaints} complaints of the sanitizers")
    return process.returncode or int(complaints > 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.sanitize", description="Media tests under sanitizers.")
    parser.add_argument("tests", nargs="*", default=TESTS, help="what to run (default: the native modules' tests)")
    options = parser.parse_args(arguments)
    copy_sources()
    return compile_modules() or run_tests(options.tests)


if __name__ == "__main__":
    raise SystemExit(main())
