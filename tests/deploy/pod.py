"""Runs a container of the manifests on this machine, as its security context says."""

import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.deploy.manifests import DEPLOYMENT, Json

PROJECT = Path(__file__).parents[2]

# The mounts end with the process, because it has its own namespace of mounts. The folders are
# mounted elsewhere because they may be below /root or /tmp.
_ENTER = """
set -eu
mount -t tmpfs -o mode=755 tmpfs /mnt
for name in python packages project; do
    mkdir "/mnt/$name"
    mount --bind "$1" "/mnt/$name"
    shift
done
mount -t tmpfs -o mode=1777,size=64m tmpfs /tmp
mount -o remount,bind,ro /mnt/project
mount -o remount,bind,ro /
exec setpriv --reuid "$1" --regid "$2" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all /mnt/python/bin/python3 -m agent_api $3
"""


def start_container(
    container: Json, settings: dict[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a container with `settings` and what an image sets; needs root and Linux."""
    security = DEPLOYMENT["spec"]["template"]["spec"]["securityContext"]
    folders = (sys.base_prefix, sysconfig.get_path("purelib"), PROJECT)
    (argument,) = container["args"]
    user, group = security["runAsUser"], security["runAsGroup"]
    with log.open("wb") as output:
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _ENTER, "sh"]
            + [str(each) for each in (*folders, user, group, argument)],
            cwd="/",
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": "/",  # as container runtimes do for a user without an account
                "PYTHONPATH": "/mnt/project:/mnt/packages",
                "LD_LIBRARY_PATH": "/mnt/python/lib",
                **settings,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
