"""`python -m pbx` is the command `tandem`."""

from pbx.cli import main

main(prog_name="tandem")
