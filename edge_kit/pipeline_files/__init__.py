"""Pipeline files of the kit and of PaddleX. In: a YAML file. Out: settings by the kit's names, and what was ignored.

And back: settings as a pipeline file of PaddleX 3. Nothing here loads a model or reads an image.
"""

from edge_kit.pipeline_files.document import Document, PipelineFileError, read_document
from edge_kit.pipeline_files.model import Ignored, PipelineFile, Place
from edge_kit.pipeline_files.read import kind_of, pipeline_file, read_pipeline_file
from edge_kit.pipeline_files.write import paddlex_document

__all__ = [
    "Document",
    "Ignored",
    "PipelineFile",
    "PipelineFileError",
    "Place",
    "kind_of",
    "paddlex_document",
    "pipeline_file",
    "read_document",
    "read_pipeline_file",
]
