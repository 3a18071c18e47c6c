"""Figures that stand in two places are the same: the README's and the recipes' tables are those of the benchmarks."""

from __future__ import annotations

from tests.docs.pages import ROOT

BEGIN, END = "<!-- bench_recipes: begin -->", "<!-- bench_recipes: end -->"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def measured() -> dict[tuple[str, str], dict[str, str]]:
    """Return the rows of scripts/bench_recipes.py by set and recipe."""
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    head, _, *rows = text.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    found = (dict(zip(cells(head), cells(row), strict=True)) for row in rows)
    return {(row["models"], row["recipe"]): row for row in found}


def megabytes(cell: str) -> str:
    return f"{int(cell.replace(',', '')) / 1e6:.1f} MB"


def test_the_sets_of_the_readme_have_the_measured_figures():
    rows = measured()
    sets = [row for row in map(cells, (ROOT / "README.md").read_text(encoding="utf-8").splitlines()) if len(row) == 9]
    shown = {row[0].split("`")[1]: row[1:7] for row in sets if row[0].startswith("`pp-ocr")}
    assert shown == {
        name: [
            megabytes(rows[name, "fp32"]["det + rec bytes"]),
            megabytes(rows[name, "weight_int8"]["det + rec bytes"]),
            f"{float(rows[name, 'weight_int8']['lines equal'].rstrip(' %')):.1f} %",
            f"{float(rows[name, 'weight_int8']['truth'].rstrip(' %')):.1f} %",
            rows[name, "fp32"]["ops"],
            rows[name, "fp32"]["host det + rec (ms)"],
        ]
        for name in ("pp-ocrv4-mobile", "pp-ocrv5-mobile", "pp-ocrv6-tiny", "pp-ocrv6-small")
    }


def test_the_table_of_the_other_sets_has_the_measured_figures():
    text = (ROOT / "docs" / "quantisation.md").read_text(encoding="utf-8")
    name, compared = "", 0
    for row in map(cells, text.splitlines()):
        if len(row) != 7 or row[1] not in ("`weight_int16`", "`weight_int8`"):
            continue
        name = row[0].strip("`") or name
        found = measured()[name, row[1].strip("`")]
        assert row[2] == found["det + rec bytes"]
        shares = [float(cell.rstrip(" %")) for cell in row[3:]]
        exact = [float(found[key].rstrip(" %")) for key in ("mask flips", "boxes found", "lines equal", "characters")]
        assert all(abs(a - b) <= 0.051 for a, b in zip(shares, exact, strict=True)), (name, row)
        compared += 1
    assert compared == 6
