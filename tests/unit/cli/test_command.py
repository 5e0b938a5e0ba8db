import subprocess
import sys

PROGRAM = """\
import sys
sys.modules["cyclopts"] = None
from lean_lite.cli import main
main()
"""


def test_the_command_without_its_extra_names_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr == "lean-lite: cyclopts is missing: install `lean-lite[cli]`\n"
