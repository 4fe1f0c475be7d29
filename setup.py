"""Builds every `media/**/*.pyx` as an extension module: a new one needs no edit here.

Everything else about the distribution is in pyproject.toml. Two environment variables matter:

TANDEM_ENGINE=debug   check bounds and None, keep assertions and symbols (default: optimised)
TANDEM_ENGINE=none    compile nothing (the Makefile installs first, then compiles where warnings can be seen)
"""

import os
from pathlib import Path
from typing import Any

from setuptools import Extension, setup

ENGINE = os.environ.get("TANDEM_ENGINE", "release")
if ENGINE not in {"release", "debug", "none"}:
    raise SystemExit(f"TANDEM_ENGINE={ENGINE!r}: expected release, debug or none")

CHECKED = ENGINE == "debug"
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": CHECKED,
    "wraparound": CHECKED,
    "initializedcheck": CHECKED,
    "nonecheck": CHECKED,
    "cdivision": True,
    "embedsignature": True,
    "warn.maybe_uninitialized": True,
    "warn.unused": True,
    "warn.unused_result": True,
}


def extension_modules() -> list[Any]:
    """One extension per .pyx; the generated C goes to build/, never beside the sources."""
    sources = [] if ENGINE == "none" else sorted(Path("media").rglob("*.pyx"))
    if not sources:
        return []
    from Cython.Build import cythonize

    flags = ["-Og", "-g", "-Wall"] if CHECKED else ["-O2", "-DNDEBUG", "-Wall"]
    extensions = [
        Extension(
            ".".join(source.with_suffix("").parts),
            [str(source)],
            include_dirs=["media"],
            extra_compile_args=flags,
        )
        for source in sources
    ]
    modules: list[Any] = cythonize(  # type: ignore[no-untyped-call]
        extensions,
        build_dir=f"build/cython-{ENGINE}",
        compiler_directives=DIRECTIVES,
        show_all_warnings=False,
    )
    return modules


setup(ext_modules=extension_modules())
