"""The stages of a build, one module each: a plain function of a ``StageContext`` and typed values (``results``).

In: models, images, rules, a device, the app's parts. Out: frozen results with the files that a stage left. A module
here imports what its own stage runs and nothing of another stage: its import closure is the code part of its key.
"""
