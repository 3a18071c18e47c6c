"""Prints a line of JSON for each image: python read_text.py [--models SET] photo.jpg folder/ https://…"""

import argparse
import json
import sys

from edge_kit import create_pipeline
from model_opt.errors import KitError

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--models", help="a set of 'edge-kit models list'")
parser.add_argument("inputs", nargs="+")
arguments = parser.parse_args()

bad = 0
with create_pipeline("ocr", models=arguments.models) as pipeline:
    for source, outcome in pipeline.predict_each(arguments.inputs):
        if isinstance(outcome, KitError):
            bad += 1
            print(outcome, file=sys.stderr)
        else:
            print(json.dumps({"image": source.input_path, "lines": list(outcome.rec_texts)}, ensure_ascii=False))
sys.exit(1 if bad else 0)
