"""Build stages, content cache, manifest and atomic output. In: stages. Out: a bundle folder."""
