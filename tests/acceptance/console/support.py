"""What the tests of the console share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

__all__ = ["COMMAND", "Console", "needs_a_full_device"]

Console = Callable[..., tuple[int, str, str]]
COMMAND = [sys.executable, "-c", "import sys; from jammi_sql.console.main import main; sys.exit(main())"]
needs_a_full_device = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
