"""Golden data for the app. In: images, models, the specification. Out: what the Python pipeline answers to each."""
