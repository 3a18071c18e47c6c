"""Accuracy impact of common porting bugs (docs/legacy.md). In: images, ``legacy_spec.yaml``. Out: what each changes."""
