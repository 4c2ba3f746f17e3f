"""Set-up of a bare Linux machine in one step: `python3 -m bootstrap`, or `make setup`.

Standard library only: it runs before anything is installed. A second run finds
nothing to do and ends at once.
"""
