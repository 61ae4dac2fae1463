"""An opt-in start-up hook: ``python train_net.py --clip-backend opendas ...`` itself, in one Python environment.

``enable`` writes a ``.pth`` file, which Python reads at every start. Its one line looks for the flag and does nothing
where it is absent; where it is there, the same command starts again under the launcher.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from integrations.ovseg.errors import OVSegError

_LINE = "import sys; any(a.split('=')[0] == '--clip-backend' for a in getattr(sys, 'argv', [])) and exec({code!r})\n"
_CODE = "import sys; sys.path.append({home!r}); from integrations.ovseg.hook import redirect; redirect()"


def enable() -> str:
    """Installs the hook in this environment and returns what to tell the user.

    Raises:
        OVSegError: the environment cannot be written.
    """
    try:
        _file().write_text(_LINE.format(code=_CODE.format(home=str(home()))), encoding="utf-8")
    except OSError as error:
        raise OVSegError(f"the hook could not be written ({error}); use python -m integrations.ovseg") from error
    return f"enabled: python SCRIPT --clip-backend ... runs under the launcher ({_file()})"


def disable() -> str:
    """Removes the hook from this environment and returns what to tell the user.

    Raises:
        OVSegError: the environment cannot be written.
    """
    try:
        if _file().exists():
            _file().unlink()
    except OSError as error:
        raise OVSegError(f"the start-up hook could not be removed ({error})") from error
    return f"disabled: {_file()} is gone"


def status() -> str:
    """Returns whether this environment has the hook."""
    return f"enabled ({_file()})" if _file().exists() else f"disabled (no {_file()})"


def redirect() -> None:
    """Starts the command again under the launcher, if it runs a script of an OVSeg checkout."""
    script = Path(sys.argv[0])
    if script.suffix != ".py" or not script.is_file():
        return
    if not any((folder / "open_vocab_seg").is_dir() for folder in script.resolve().parents):
        return
    paths = [path for path in (os.environ.get("PYTHONPATH"), str(home())) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
    os.execv(sys.executable, [sys.executable, *flags, "-m", "integrations.ovseg", *sys.argv])


def home() -> Path:
    """Returns the folder that ``integrations`` lies in."""
    return Path(__file__).resolve().parents[2]


def _file() -> Path:
    return Path(sysconfig.get_path("purelib")) / "opendas_ovseg.pth"
