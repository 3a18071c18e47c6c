"""The documentation site builds without a warning, loads nothing from another host, and its pages are made right."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Annotated

import pytest
import typer
from draw_docs import IMAGES, Point, drawn, points

from docs_pages.commands import command_page, command_pages, commands
from docs_pages.links import outside, rewritten, source_text
from docs_pages.tables import table_pages
from tests.docs.pages import ROOT

LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
"""Elements that make a browser fetch something, with the attribute that says what."""


class Loads(HTMLParser):
    """Collects the addresses that a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "link" and values.get("rel") in {"canonical", "next", "prev", "alternate"}:
            return
        if (name := LOADING.get(tag)) and (address := values.get(name)):
            self.addresses.append(address)


def foreign(html: str) -> list[str]:
    loads = Loads()
    loads.feed(html)
    return [one for one in loads.addresses if re.match(r"(\w+:)?//", one)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a warning of mkdocs fails it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.integration
@pytest.mark.xdist_group("site")
def test_no_page_loads_anything_from_another_host(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    found = {page.name: addresses for page in pages if (addresses := foreign(page.read_text(encoding="utf-8")))}
    assert found == {}
    # The theme's script fetches mermaid and MathJax from elsewhere as soon as a page asks for them.
    assert not any(re.search(r'class="(mermaid|arithmatex)', page.read_text(encoding="utf-8")) for page in pages)
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import\s*)['\"]?(?:https?:)?//[^)'\"]+", styles) == []


@pytest.mark.integration
@pytest.mark.xdist_group("site")
def test_every_command_and_class_has_its_place(site):
    index = (site / "reference" / "cli" / "index.html").read_text(encoding="utf-8")
    for words in commands():
        assert f'href="{words.replace(" ", "-")}.html"' in index
    interface = (site / "reference" / "python" / "pipeline.html").read_text(encoding="utf-8")
    assert 'id="edge_kit.api.create_pipeline"' in interface
    assert 'id="edge_kit.ocr.result.OcrResult.save_to_json"' in interface
    assert "Yield one" in interface


@pytest.mark.integration
@pytest.mark.xdist_group("site")
def test_a_link_out_of_the_documentation_leads_to_the_file_itself(site):
    assert 'href="source/docker/Dockerfile.html"' in (site / "serve.html").read_text(encoding="utf-8")
    assert "FROM" in (site / "source" / "docker" / "Dockerfile.html").read_text(encoding="utf-8")


def test_the_launcher_hands_its_arguments_to_mkdocs(tmp_path):
    scripts, programs = tmp_path / "scripts", tmp_path / ".venv" / "bin"
    scripts.mkdir()
    programs.mkdir(parents=True)
    (scripts / "docs").write_bytes((ROOT / "scripts" / "docs").read_bytes())
    (scripts / "bootstrap").write_text('bootstrap() { echo "set up: $*"; }\n')
    (programs / "python").write_text('#!/bin/sh\necho "$PWD: $*"\n')
    (programs / "python").chmod(0o755)
    command = ["bash", scripts / "docs", "build", "--strict", "--site-dir", "build/a site"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "set up: requirements-dev.lock",
        f"{tmp_path}: -m mkdocs build --strict --site-dir build/a site",
    ]


def test_an_address_of_another_host_is_found():
    assert foreign('<img src="a.png"><script src="//cdn.example/x.js"></script>') == ["//cdn.example/x.js"]
    assert foreign('<link rel="stylesheet" href="https://fonts.example/a.css"><a href="https://b.example">b</a>') == [
        "https://fonts.example/a.css"
    ]


def test_a_commands_page_has_its_arguments_options_and_defaults():
    app = typer.Typer(add_completion=False)

    @app.command(epilog="The end.")
    def read(
        paths: Annotated[list[str], typer.Argument(help="Images.")],
        target: Annotated[str, typer.Option(help="For what.")],
        threads: Annotated[int | None, typer.Option(help="Threads | cores.")] = 4,
        quick: Annotated[bool, typer.Option("--quick", help="Sooner.")] = False,
    ) -> None:
        """Read text.

        In images.
        """

    assert command_page("read", typer.main.get_command(app)) == (
        "# edge-kit read\n\nRead text.\n\nIn images.\n\n"
        "```\nedge-kit read PATHS… [OPTIONS] --target TEXT\n```\n\n"
        "## Arguments\n\n| argument | meaning |\n|---|---|\n| `PATHS…` | Images. |\n\n"
        "## Options\n\n| option | meaning | default |\n|---|---|---|\n"
        "| `--target` TEXT | For what. | required |\n| `--threads` INTEGER | Threads \\| cores. | `4` |\n"
        "| `--quick` | Sooner. |  |\n\nThe end.\n"
    )


def test_no_command_and_no_option_is_without_a_text():
    for words, command in commands().items():
        assert command.help, words
        bare = [one.name for one in command.params if not one.help and one.name != "help"]
        assert bare == [], words
    assert f"reference/cli/{'models list'.replace(' ', '-')}.md" in command_pages()


def test_tables_have_each_row_of_the_configuration():
    pages = table_pages()
    assert "| Lines with equal text (`texts_equal`) | at&nbsp;least&nbsp;0.95 |" in pages["reference/gates.md"]
    assert "## weight_int16" in pages["reference/recipes.md"]
    assert "| `pp-ocrv6-tiny` |" in pages["reference/sets.md"]
    for profile in (ROOT / "configs" / "devices").glob("*.yaml"):
        assert f"## {profile.stem}\n" in pages["reference/devices.md"]


def test_links_out_of_the_documentation_are_led_to_pages():
    text = "[a](../docker/Dockerfile) [b](serve.md) [c](https://x.example/y) [d](../no/such)"
    targets = outside("serve.md", text)
    assert targets == {"../docker/Dockerfile": "docker/Dockerfile"}
    assert rewritten("serve.md", text, targets).startswith("[a](source/docker/Dockerfile.md) [b](serve.md)")
    assert "## client.py\n\n`````python\n" in source_text("examples/serve")


def test_the_drawn_pictures_are_those_of_the_figures():
    for name, picture in drawn().items():
        assert (IMAGES / name).read_text(encoding="utf-8") == picture, f"run scripts/draw_docs.py: {name}"


def test_figures_are_read_from_the_tables():
    text = (
        "| recipe | w | a | det + rec bytes | lines | take it |\n|---|---|---|---|---|---|\n"
        "| `fp32` | 32 | fp32 | 14,717,724 | 200 of 200 | when |\n"
        "| set | fp32, bytes |\n|---|---|\n| `pp-ocrv6-tiny` | 6,201,580 |\n"
        "| set | recipe | bytes | flips | boxes | lines | characters |\n|---|---|---|---|---|---|---|\n"
        "| `pp-ocrv6-tiny` | `weight_int16` | 3,325,212 | 0.009 % | 100 % | 99.5 % | 99.97 % |\n"
        "| | `weight_int8` | 2,043,420 | 0.171 % | 99.0 % | 97.1 % | 99.79 % |\n"
        "| | `fp16`, the detector alone | 1,792,478 (det) | 0.94 % | 100 % | 97.2 % | 99.64 % |\n"
    )
    assert points(text) == [
        Point("pp-ocrv4-mobile", "fp32", 14717724, 100.0),
        Point("pp-ocrv6-tiny", "fp32", 6201580, 100.0),
        Point("pp-ocrv6-tiny", "weight_int16", 3325212, 99.5),
        Point("pp-ocrv6-tiny", "weight_int8", 2043420, 97.1),
    ]
