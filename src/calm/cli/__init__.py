"""The command ``calm``.

Exit status: 0 all is well, 1 some photos failed, 2 wrong usage (or a part that is missing), 70 a fault of ours,
130 interrupted.
"""

import sys
from collections.abc import Sequence

from calm.errors import CalmError

INTERNAL = 70
"""Status after an error that no user can have caused (EX_SOFTWARE of sysexits.h); its traceback is on stderr."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; leaves by :class:`SystemExit`.

    Args:
        arguments: without the program's name; None for those of this process.
    """
    from calm.cli.app import app

    try:
        app(args=None if arguments is None else list(arguments), prog_name="calm")
    except CalmError as error:
        print("calm:", " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except Exception:
        import traceback

        traceback.print_exc()
        print("calm: this is a fault in calm itself; please report it with the lines above", file=sys.stderr)
        sys.exit(INTERNAL)
