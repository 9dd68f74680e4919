"""Runs commands in a sandbox: the repository with all ports free, where changes of files are temporary.

It uses Linux namespaces, so commands run as written, with their paths and ports, beside a developer's own `make run`. Its network has only a
loopback interface: downloads of a command must be in a cache already.
"""

import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from markdown_pages import Block, Command

COMMAND_TIMEOUT = 120  # seconds, for a command to end or to be ready

# The environment of commands: variables that find the tools, and those of `.ci/docs` for cargo, so that it rebuilds nothing.
PASSED_VARIABLES = ("PATH", "HOME", "LANG", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_INCREMENTAL", "CARGO_PROFILE_DEV_DEBUG")

# Removes files that a developer may have and a clone does not. Build results remain.
SETUP = """
ip link set lo up
mount -t tmpfs layer "$2"
mkdir "$2/changed" "$2/work"
mount -t overlay -o "lowerdir=$1,upperdir=$2/changed,workdir=$2/work,userxattr" overlay "$1"
cd "$1"
rm -rf handler local.settings.json authentication.json .azure .chat target/publish
echo ready
exec cat
"""

SETUP_FAILED = """The sandbox cannot be created; the reason is on standard error. It needs `ip` and the right to create namespaces. Ubuntu allows that after
`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, a container if started with `--privileged`."""

SEPARATOR = "\x1e"


class Sandbox:
    """Namespaces for one test. `ran` has the text of every command that succeeded or was ready, `compared` the blocks with the expected output;
    `variables` is the environment of the next command."""

    def __init__(self, root: Path):
        self.root = root
        self.ran: set[str] = set()
        self.compared: set[Block] = set()
        self.variables = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
        self._running: list[Running] = []
        self._layers = tempfile.TemporaryDirectory(prefix="sandbox-")
        # `cat` holds the namespaces until its input is closed, at the latest when this process ends.
        self._holder = subprocess.Popen(
            ["unshare", "--map-root-user", "--net", "--mount", "bash", "-euc", SETUP, "setup", root, self._layers.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if self._holder.stdout.readline() != b"ready\n":
            self.stop()
            raise RuntimeError(SETUP_FAILED)

    def stop(self) -> None:
        for running in self._running:
            running.kill()
        self._holder.communicate()
        self._layers.cleanup()

    def run(self, *commands: Command | str, code: int = 0) -> str:
        """Runs commands in one shell, which ends at the first failure, and checks the exit code. Returns the standard output."""
        return "".join(self.run_each(commands, code))

    def run_each(self, commands: Iterable[Command | str], code: int = 0) -> list[str]:
        """The same; returns the standard output of each."""
        texts = [_text(command) for command in commands]
        ended = subprocess.run(
            self._shell(f"\nprintf '{SEPARATOR}'\n".join(texts)),
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
        printed = ended.stdout.split(SEPARATOR)
        assert ended.returncode == code, f"exit code {ended.returncode} of: {texts[len(printed) - 1]}\n{printed[-1]}{ended.stderr}"
        self.ran.update(texts)
        return printed

    def compare(self, block: Block, printed: str) -> None:
        """Compares the output of a block with the one in the docs, if there is one."""
        if block.output:
            assert_output_matches(block.output, printed)
        self.compared.add(block)

    def start(self, command: Command | str, ready: str = "ready") -> "Running":
        """Starts a server; returns when it has printed a line that contains `ready`."""
        text = _text(command)
        running = Running(self._shell(text), self.variables, ready)
        self._running.append(running)
        running.wait_until_ready()
        self.ran.add(text)
        return running

    def _shell(self, script: str) -> list[str]:
        enter = ["nsenter", f"--target={self._holder.pid}", "--user", "--net", "--mount", "--preserve-credentials"]
        # The working directory of `nsenter` is still the folder without the overlay.
        return [*enter, "bash", "-euo", "pipefail", "-c", f"cd {shlex.quote(str(self.root))}\n{script}"]


class Running:
    """A running command with its child processes, as in a terminal of its own."""

    def __init__(self, command: list[str], variables: dict[str, str], ready: str):
        self._process = subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._ready_or_ended = threading.Event()
        self._reader = threading.Thread(target=self._read, args=[ready])
        self._reader.start()

    def _read(self, ready: str) -> None:
        for line in self._process.stdout:
            self._lines.append(line)
            if ready in line:
                self._ready_or_ended.set()
        self._ready_or_ended.set()

    @property
    def printed(self) -> str:
        return "".join(self._lines)

    def wait_until_ready(self) -> None:
        ready = self._ready_or_ended.wait(COMMAND_TIMEOUT) and self._process.poll() is None
        assert ready, f"it was not ready in time:\n{self.printed}"

    def interrupt(self) -> int:
        """Sends SIGINT to the process group, as Ctrl-C does. Returns the exit code, or minus the signal."""
        os.killpg(self._process.pid, signal.SIGINT)
        code = self._process.wait(COMMAND_TIMEOUT)
        self._reader.join(COMMAND_TIMEOUT)
        return code

    def kill(self) -> None:
        # Child processes can outlive it, and would hold the namespaces.
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(COMMAND_TIMEOUT)
        self._reader.join(COMMAND_TIMEOUT)


def _text(command: Command | str) -> str:
    return command.text if isinstance(command, Command) else command


def assert_output_matches(expected: str, printed: str) -> None:
    """Compares lines without trailing spaces. `…` stands for any text within a line; alone on a line, for any lines."""
    pattern = "".join(_pattern(line) for line in expected.strip().splitlines())
    lines = "".join(f"{line.rstrip()}\n" for line in printed.strip().splitlines())
    assert re.fullmatch(pattern, lines), f"expected:\n{expected}\nprinted:\n{lines}"


def _pattern(line: str) -> str:
    if line.strip() == "…":
        return r"(?:.*\n)*?"
    return ".*?".join(re.escape(part) for part in line.rstrip().split("…")) + r"\n"
