"""`python -m obverse.apps.cli`."""

from obverse.apps.cli import main

if __name__ == "__main__":  # roles are forked from a process that imports this too
    main()
