"""The OCR specification: load, validate, export.

In: ``configs/ocr_spec.yaml``. Out: frozen values for Python, JSON for the app.
"""

from edge_kit.spec.load import SpecError, export_json, load_spec, profile
from edge_kit.spec.model import Profile, RecogniserFacts, Spec

__all__ = ["Profile", "RecogniserFacts", "Spec", "SpecError", "export_json", "load_spec", "profile"]
