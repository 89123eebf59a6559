"""`python -m inline_topo` is `inline-topo`."""

from inline_topo.cli import main

main()
