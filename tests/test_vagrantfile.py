"""The lab VM's Vagrantfile, as far as it can be checked without a provider of virtual machines."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_provisioning_script_is_one_that_bash_can_read():
    script = ROOT / "scripts" / "vm" / "provision.sh"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    assert "scripts/vm/provision.sh" in (ROOT / "Vagrantfile").read_text()


def test_vagrant_takes_it(tmp_path):
    if not shutil.which("vagrant"):
        pytest.skip("Debian's package vagrant is not installed")
    shutil.copy(ROOT / "Vagrantfile", tmp_path)
    surroundings = {
        **os.environ,
        "VAGRANT_HOME": str(tmp_path / "home"),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "KRONOS_BOX_URL": "https://example.org/debian12.box",
    }
    done = subprocess.run(
        ["vagrant", "validate", "--ignore-provider"],
        cwd=tmp_path,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
