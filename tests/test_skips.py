"""Which tests may be skipped where everything is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = [Path(__file__).with_name(name) for name in ("conftest.py", "slow.txt")]
FILES = {
    "a module": "import pytest\npytest.importorskip('no_such_module')\ndef test(): pass",
    "a test": "import pytest\ndef test(): pytest.importorskip('no_such_package')",
    "a mark": "import pytest\n@pytest.mark.skip(reason='not today')\ndef test(): pass",
    "by platform": "import pytest\ndef test(): pytest.skip('one core')",
    "none": "def test(): pass",
}


def run(folder, names, n_processes=0):
    for each in SHARED:
        shutil.copy(each, folder)
    for i, name in enumerate(names):
        folder.joinpath(f"test_{i}.py").write_text(FILES[name])
    command = [sys.executable, "-m", "pytest", f"-n{n_processes}", f"--rootdir={folder}", folder]
    environment = os.environ | {"SKMOE_NO_SKIPS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_skip_for_want_of_a_package_fails_where_all_are_said_to_be_there(tmp_path):
    found = run(tmp_path, FILES, n_processes=1)
    assert found.returncode == pytest.ExitCode.TESTS_FAILED, found.stdout
    assert "\n4 skipped\n" in found.stdout
    assert "\n  1, allowed: one core\n" in found.stdout
    assert found.stdout.count("  1, NOT ALLOWED: ") == 3


def test_what_may_be_skipped_is_counted_and_passes(tmp_path):
    found = run(tmp_path, ["by platform", "none"])
    assert found.returncode == pytest.ExitCode.OK, found.stdout
    assert "\n1 skipped\n" in found.stdout
