"""Set-up of a bare Linux machine in one step: `python3 -m bootstrap`, or `make setup`.

It uses only the standard library, because it runs before anything is installed. If everything is
up to date, it ends at once.
"""
