"""Entry point. Any Python 3 can parse it, so an old one prints a sentence, not a traceback."""

import sys

if sys.version_info < (3, 10):
    sys.exit(
        "setup: this is Python %d.%d (%s); the suite needs 3.10 to 3.13.\n"
        "  fix: install a newer one and run `make setup PYTHON=python3.12`"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

from bootstrap.steps import main

sys.exit(main())
