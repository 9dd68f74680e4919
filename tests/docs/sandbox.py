"""A machine to try commands on: the repository as it is here, but with all ports free, and what is changed in it is soon forgotten.

Made of Linux namespaces, so that commands run as they are written, with their paths and ports, beside a developer's own `make run`. Its
network leads nowhere: what a command would fetch must be there already.
"""

import os
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from outputs import assert_prints
from pages import Block, Command

PATIENCE = 120  # seconds, for a command to end or to get ready

# Of our own environment, what finds the tools, and how `.ci/docs` has them build, so that nothing is built again; nothing that make, the
# handler or Azure's tools would read.
KEPT = ("PATH", "HOME", "LANG", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_INCREMENTAL", "CARGO_PROFILE_DEV_DEBUG")

# What a developer may have, and a clone has not. What was built stays, so that nothing is built again.
SETUP = """
ip link set lo up
mount -t tmpfs layer "$2"
mkdir "$2/changed" "$2/work"
mount -t overlay -o "lowerdir=$1,upperdir=$2/changed,workdir=$2/work,userxattr" overlay "$1"
cd "$1"
rm -rf handler local.settings.json authentication.json .azure .chat target/publish
echo made
exec cat
"""

REFUSED = """No machine can be made here; the reason is on standard error. It takes `ip`, and the right to make namespaces. Ubuntu gives that with
`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, a container when it is started with `--privileged`."""

BETWEEN = "\x1e"


class Machine:
    """`ran` holds the text of every command that succeeded or got ready, `compared` the blocks that printed what the docs show;
    `variables` is the environment of the next command."""

    def __init__(self, root: Path):
        self.root = root
        self.ran: set[str] = set()
        self.compared: set[Block] = set()
        self.variables = {name: os.environ[name] for name in KEPT if name in os.environ}
        self._running: list[Running] = []
        self._layers = tempfile.TemporaryDirectory(prefix="machine-")
        # `cat` keeps the machine until its input ends, which it does with this process at the latest.
        self._keeper = subprocess.Popen(
            ["unshare", "--map-root-user", "--net", "--mount", "bash", "-euc", SETUP, "setup", root, self._layers.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if self._keeper.stdout.readline() != b"made\n":
            self.stop()
            raise RuntimeError(REFUSED)

    def stop(self) -> None:
        for running in self._running:
            running.kill()
        self._keeper.communicate()
        self._layers.cleanup()

    def run(self, *commands: Command | str, code: int = 0) -> str:
        """Runs commands in one shell, which ends at the first that fails, and with this code. Returns what they printed, without the
        errors."""
        return "".join(self.run_each(commands, code))

    def run_each(self, commands: Iterable[Command | str], code: int = 0) -> list[str]:
        """The same; returns what each of them printed."""
        texts = [_text(command) for command in commands]
        ended = subprocess.run(
            self._shell(f"\nprintf '{BETWEEN}'\n".join(texts)),
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        printed = ended.stdout.split(BETWEEN)
        assert ended.returncode == code, f"exit code {ended.returncode} of: {texts[len(printed) - 1]}\n{printed[-1]}{ended.stderr}"
        self.ran.update(texts)
        return printed

    def compare(self, block: Block, printed: str) -> None:
        """Compares what a block printed with what the docs show of it, if they do."""
        if block.output:
            assert_prints(block.output, printed)
        self.compared.add(block)

    def start(self, command: Command | str, ready: str = "ready") -> "Running":
        """Starts what goes on until it is stopped; returns when it has printed a line with `ready` in it."""
        text = _text(command)
        running = Running(self._shell(text), self.variables, ready)
        self._running.append(running)
        running.wait_until_ready()
        self.ran.add(text)
        return running

    def _shell(self, script: str) -> list[str]:
        enter = ["nsenter", f"--target={self._keeper.pid}", "--user", "--net", "--mount", "--preserve-credentials"]
        # From here the folder is still the one below the layer.
        return [*enter, "bash", "-euo", "pipefail", "-c", f"cd {shlex.quote(str(self.root))}\n{script}"]


class Running:
    """A command that goes on, with all that it has started, as in a terminal of its own."""

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
        ready = self._ready_or_ended.wait(PATIENCE) and self._process.poll() is None
        assert ready, f"it did not get ready:\n{self.printed}"

    def interrupt(self) -> int:
        """Presses Ctrl-C, which reaches everything that runs in the terminal. Returns the exit code, or minus the signal."""
        os.killpg(self._process.pid, signal.SIGINT)
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        # What it has started may outlive it, and would keep the machine.
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)


def _text(command: Command | str) -> str:
    return command.text if isinstance(command, Command) else command
