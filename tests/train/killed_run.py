"""``python -m tests.train.killed_run LINES FLAGS...``: a training that is killed once its trackers have so many lines.

LINES 0: it is left alone. The tiny CLIP of the tests is registered first.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import open_clip

from opendas_plugin.commands.train_prompts import main
from opendas_plugin.train.trackers import Trackers
from tests.conftest import TINY

if __name__ == "__main__":
    path = Path(tempfile.mkdtemp()) / "test-tiny.json"
    path.write_text(json.dumps(TINY))
    open_clip.add_model_config(path)
    most, own, seen = int(sys.argv[1]), Trackers.lines, []

    def lines(self, found):
        """Sends the lines, and is killed before a checkpoint says so."""
        own(self, found)
        seen.extend(found)
        if most and len(seen) >= most:
            time.sleep(2)  # what sends has its moment
            os.kill(os.getpid(), signal.SIGKILL)

    Trackers.lines = lines
    sys.exit(main(sys.argv[2:]))
