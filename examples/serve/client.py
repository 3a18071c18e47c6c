"""Prints the text of an image or PDF: python client.py photo.jpg http://127.0.0.1:8080."""

import json
import sys
import urllib.request
from pathlib import Path

file, service = sys.argv[1:]
headers = {"Content-Type": "application/octet-stream"}
request = urllib.request.Request(f"{service}/ocr?visualize=false", Path(file).read_bytes(), headers)
with urllib.request.urlopen(request, timeout=120) as response:
    for page in json.load(response)["result"]["ocrResults"]:
        print(*page["prunedResult"]["rec_texts"], sep="\n")
