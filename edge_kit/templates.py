"""Fill the kit's templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from model_opt.errors import KitError


def fill_template(
    template: Path, fault: type[KitError], filters: Mapping[str, Callable[..., object]] | None = None, **values: object
) -> str:
    """Return the text of a Jinja template with ``values`` in it; HTML and SVG are escaped.

    Raises ``fault`` when the template cannot be read or does not fit the values.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=template.name.endswith((".html.j2", ".svg.j2")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    try:
        return environment.from_string(template.read_text(encoding="utf-8")).render(values)
    except OSError as error:
        raise fault(f"cannot read the template: {error.strerror}", path=template) from error
    except jinja2.TemplateError as error:
        raise fault(f"the template is broken: {error}", path=template) from error
