"""``python -m gentool``."""

from gentool.cli import main

main()
