"""``edge-kit quantize`` and ``edge-kit recipes list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_kit.cli.build import gate_table, listener
from edge_kit.cli.outputs import refuse_input
from edge_kit.cli.render import console, show, size, table
from edge_kit.jobs.quantize import quantise_models
from edge_kit.jobs.request import BuildRequest
from edge_kit.recipes import load_recipes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_kit.stages.results import Role


def run_quantize(request: BuildRequest, roles: Sequence[Role]) -> int:
    """Quantise models and print what came of it; return 1 when a gate failed and nothing was written."""
    for target in (request.out / f"{role}{suffix}" for role in roles for suffix in (".nb", ".json")):
        refuse_input("--out", target, (request.det_model, request.rec_model, request.rec_dict))
    with listener(False) as listen:
        written, verification = quantise_models(request, roles, listen)
    out = console()
    title = f"recipe {request.recipe} on {' and '.join(roles)}, against {verification.reference}"
    out.print(gate_table(f"{title} on {verification.images} images", verification.to_dict()["gates"]))
    for file in written:
        quantised, nbytes = file.model.quantised, file.model.converted.nb.sum.bytes
        totals = ", ".join(f"{name} {value}" for name, value in (quantised.totals if quantised else {}).items())
        out.print(f"{file.path}: {size(nbytes)}{f' ({totals})' if totals else ''}", markup=False)
    if not written:
        out.print("a gate failed, nothing was written (--allow-failed-gates writes it all the same)")
    return 0 if verification.passed or written else 1


def run_list(*, as_json: bool) -> None:
    """Print every recipe with when to choose it and what it costs."""
    recipes = load_recipes()
    document = {
        name: {"description": row.description, "choose": row.choose, "costs": row.costs, "places": row.places}
        for name, row in recipes.rows.items()
    }
    rows = [(name, row.description, row.choose, row.costs) for name, row in recipes.rows.items()]
    rows.append(("auto", "the first that passes", "When the smallest is wanted.", " > ".join(recipes.auto)))
    show(document, table(("recipe", "what it is", "choose it", "what it costs"), rows), as_json=as_json)
