"""Studies and makers of golden data, for a checkout of the project: no part of the installed package."""
