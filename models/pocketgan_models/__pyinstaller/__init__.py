"""For PyInstaller, which asks installed packages where their hooks are (its manual, "Providing PyInstaller Hooks")."""

from pathlib import Path


def hook_folders() -> list[str]:
    """Return the folder with the hook, by which programs that PyInstaller makes carry the bundled models."""
    return [str(Path(__file__).parent)]
