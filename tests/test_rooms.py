"""The rooms of the project: who may import whom, and where constants and output may stand."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_the_import_contracts_hold():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_no_import_goes_in_a_circle():
    """Imports inside functions count: a module that needs another and is needed by it belongs with it."""
    graph = grimp.build_graph("edge_kit", "model_opt", cache_dir=None)
    needs = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(tuple(graphlib.TopologicalSorter(needs).static_order())) == len(graph.modules)


def test_help_needs_none_of_the_heavy_packages():
    code = (
        "import sys\n"
        "sys.argv = ['edge-kit', '--help']\n"
        "from edge_kit.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'paddle', 'onnxruntime', 'cv2', 'PIL', 'numpy', 'jinja2', 'yaml', 'httpx', 'jsonschema'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("loaded: []")


def test_constants_of_the_specification_stand_only_in_its_file():
    """No module of the pipeline holds a number with a fraction, save 1/2-like ones that no rule defines."""
    found = []
    study = ROOT / "scripts" / "labs" / "legacy" / "pipeline.py"
    for path in [*sorted((ROOT / "edge_kit" / "ocr").glob("*.py")), study]:
        if path.name == "draw.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value not in (0.0, 1.0, 2.0):
                found.append(f"{path.name}:{node.lineno}: {node.value}")
    assert found == []


def test_no_machine_path_or_registry_host_is_committed():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    hosts = ["py" + "pi.org", "python" + "hosted", "repo1." + "maven", "registry." + "npmjs", "deb." + "debian.org"]
    folders = ["/wo" + "rk/", "/ro" + "ot/"]
    found = []
    for name in filter(None, listed):
        path = ROOT / name.decode()
        if not path.is_file() or path.suffix in {".png", ".nb", ".jpg", ".lock"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name.decode()}: {word}" for word in hosts + folders if word in text]
    assert found == []


@pytest.mark.xdist_group("guard")
def test_the_tests_of_a_group_share_a_worker(request):
    """Their fixtures cost minutes. pytest-xdist and pytest must fit each other: with pytest 9.2 groups are ignored."""
    if not hasattr(request.config, "workerinput"):
        pytest.skip("one process runs all tests")
    assert request.node.nodeid.endswith("@guard")


def test_no_test_is_named_after_bytes(request):
    """Workers compare the names of all tests before they start; bytes may hold the time of their making."""
    calls = [(item, getattr(item, "callspec", None)) for item in request.session.items]
    given = [item for item, call in calls if call and any(isinstance(value, bytes) for value in call.params.values())]
    assert [item.nodeid for item in given if "\\x" in item.nodeid] == []
