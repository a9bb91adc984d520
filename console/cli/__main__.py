"""`python -m console.cli` is `recovery`."""

from console.cli import main

main()
