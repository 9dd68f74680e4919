"""Fixtures: the root of the repository and the parsed templates."""

from pathlib import Path

import pytest

import bicep

ROOT = Path(__file__).resolve().parents[2]


def templates(folder: Path) -> dict[str, bicep.Template]:
    """All templates of a folder by their relative paths."""
    return {str(path.relative_to(folder)): bicep.read(path) for path in sorted(folder.rglob("*.bicep"))}


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def infra() -> dict[str, bicep.Template]:
    return templates(ROOT / "infra")
