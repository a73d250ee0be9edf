"""`python -m obverse.apps.cli`."""

from obverse.apps.cli import main

main()
