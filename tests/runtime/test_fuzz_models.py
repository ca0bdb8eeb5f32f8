"""scripts/fuzz_models.py gives the same files for the same seed, and reports every failure."""

import random
import subprocess
import sys
from pathlib import Path

import fuzz_models
import pytest
from fuzz_mutations import DAMAGES, damaged_file
from fuzz_tree import parse, serialize

import pocketgan_models

SCRIPT = Path(fuzz_models.__file__)
NANO = pocketgan_models.path("nano")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads its memory from /proc")


def test_a_model_is_the_same_after_parsing_and_serializing() -> None:
    contents = NANO.read_bytes()
    assert serialize(parse(contents)) == contents


def test_every_kind_of_damage_changes_the_file() -> None:
    contents = pocketgan_models.path("mlp").read_bytes()
    chance = random.Random(1)
    for damage in DAMAGES:
        results = set()
        for _ in range(20):
            tree = parse(contents)
            damage(chance, tree, [parse(contents)])
            results.add(serialize(tree))
        assert len(results - {contents}) > 5, damage


def test_a_seed_and_an_index_give_the_same_file() -> None:
    sources = [NANO.read_bytes()]
    files = [damaged_file(0, index, sources) for index in range(20)]
    assert files == [damaged_file(0, index, sources) for index in range(20)]
    assert len(set(files)) > 15
    assert files[0] != damaged_file(1, 0, sources)


def test_a_few_files_are_drawn_or_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--count", "60", "--seed", "1", "--keep", str(tmp_path / "kept")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("seed 1: 60 files in ")
    assert "\ndrew " in done.stdout
    assert "\nrefused " in done.stdout
    assert not (tmp_path / "kept").exists()


WORKERS = {
    "crashed with -11": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "crashed with 3": "import sys; sys.exit(3)",
    "took more than 1 seconds": "import time; time.sleep(60)",
}


@pytest.mark.parametrize("expected", WORKERS)
def test_a_worker_that_crashes_or_hangs_is_a_failure_and_is_replaced(
    expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(f"""if True:
        import json, pathlib, sys
        folder = pathlib.Path(sys.argv[2])
        for line in sys.stdin:
            (folder / "tried.onnx").write_text(line)
            (folder / "stderr").write_text("last words")
            if line == "1\\n":
                {WORKERS[expected]}
            print(json.dumps({{"outcome": "refused", "message": "no", "megabytes": 7}}), flush=True)
    """)
    monkeypatch.setattr(fuzz_models, "_WORKER", worker)
    monkeypatch.setattr(fuzz_models, "SECONDS_FOR_A_FILE", 1)
    monkeypatch.setattr(sys, "argv", ["fuzz_models.py", "--count", "4", "--seed", "5", "--keep", str(tmp_path / "kept")])
    with pytest.raises(SystemExit) as ended:
        fuzz_models.main()
    assert ended.value.code == 1
    output = capsys.readouterr().out
    assert "\nfailed 1\nrefused 3\n" in output
    assert f"failed: seed 5, file 1: {expected}: last words" in output
    assert (tmp_path / "kept" / "5-1.onnx").read_text() == "1\n"
