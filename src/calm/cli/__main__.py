"""``python -m calm.cli`` is ``calm``."""

from calm.cli import main

main()
