"""What all tests here look at: the repository, and the templates in it."""

from pathlib import Path

import pytest

import bicep

ROOT = Path(__file__).resolve().parents[2]


def templates(folder: Path) -> dict[str, bicep.Template]:
    """All templates under a folder, by their paths in it."""
    return {str(path.relative_to(folder)): bicep.read(path) for path in sorted(folder.rglob("*.bicep"))}


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def infra() -> dict[str, bicep.Template]:
    return templates(ROOT / "infra")
