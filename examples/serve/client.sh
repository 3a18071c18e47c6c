#!/bin/sh
# Prints the service's answer for an image or PDF: client.sh photo.jpg http://127.0.0.1:8080
exec curl --silent --show-error --fail-with-body --max-time 120 --form "file=@$1" --form visualize=false "$2/ocr"
