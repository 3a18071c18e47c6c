"""Files that people write: YAML, checked against a JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model_opt.errors import KitError


def read_config(path: Path, schema: Path, fault: type[KitError] = KitError) -> Any:
    """Return the parsed YAML file, checked against a JSON Schema; what is wrong with it is raised as ``fault``."""
    document = read_yaml(path, fault)
    check_schema(document, schema, path, fault)
    return document


def read_yaml(path: Path, fault: type[KitError] = KitError) -> Any:
    """Return the parsed YAML file; raise ``fault`` with the line when it cannot be read."""
    import yaml

    from model_opt.yaml_text import load_yaml

    try:
        return load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise fault(f"cannot read the file: {error.strerror}", path=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise fault(f"not a YAML file: {error}", path=path, hint="correct the syntax there") from error


def check_schema(document: Any, schema: Path, path: Path, fault: type[KitError] = KitError) -> None:
    """Raise ``fault`` with the first key of ``document`` that breaks the JSON Schema, and why."""
    import jsonschema

    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    errors = sorted(validator.iter_errors(document), key=lambda e: list(map(str, e.absolute_path)))
    if errors:
        key = ".".join(map(str, errors[0].absolute_path)) or "(top level)"
        raise fault(f"{key}: {errors[0].message}", path=path, hint=f"allowed values: {schema.name}")
