"""Pages of the documentation site that are made of the code: commands, Python interface, recipes, gates, devices.

In: the command line, ``configs/`` and files that pages link to. Out: Markdown, by the path of its page. Nothing here
is written to ``docs/``; ``scripts/docs_hooks.py`` gives the pages to mkdocs.
"""
