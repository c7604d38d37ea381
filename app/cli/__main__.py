"""`python -m app.cli` is the `opsloom` command."""

from app.cli import main

main()
