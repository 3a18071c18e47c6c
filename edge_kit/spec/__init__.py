"""The OCR specification: load, validate, export.

In: ``configs/ocr_spec.yaml``. Out: frozen values for Python, JSON for the app.
"""

from edge_kit.spec.load import SpecError, export_json, load_spec, profile, profile_name
from edge_kit.spec.model import DetectorFacts, RecogniserFacts, Spec, SpecProfile

__all__ = [
    "DetectorFacts",
    "RecogniserFacts",
    "Spec",
    "SpecError",
    "SpecProfile",
    "export_json",
    "load_spec",
    "profile",
    "profile_name",
]
