"""Writes a reproducible zip: sorted, without times, with Unix modes.

Usage: zip.py OUT EXECUTABLE FILE...
The executable is stored in the root with its exec bit, which other tools lose; the other files keep their relative paths.
"""

import os
import sys
import zipfile

EPOCH = (1980, 1, 1, 0, 0, 0)  # the minimum of the zip format


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.create_system = 3  # Unix; otherwise the modes are ignored
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def main(out: str, executable: str, *files: str) -> None:
    names = {os.path.normpath(file).replace(os.sep, "/"): (file, 0o644) for file in files}
    names[os.path.basename(executable)] = (executable, 0o755)
    with zipfile.ZipFile(out, "w") as package:
        for name, (path, mode) in sorted(names.items()):
            with open(path, "rb") as file:
                package.writestr(entry(name, mode), file.read(), compresslevel=9)


main(*sys.argv[1:])
