from edge_kit.api import create_pipeline as create_pipeline

__version__: str
__all__ = ["__version__", "create_pipeline"]
