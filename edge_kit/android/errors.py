"""The errors of packaging an app."""

from __future__ import annotations

from model_opt.errors import KitError


class AndroidError(KitError):
    """The app cannot be packaged: what is wrong, which file, what to do next."""


class ToolMissing(AndroidError):
    """Programs that the packager needs are not installed."""


class ToolFailed(AndroidError):
    """A program of the chain ended with an error; the message holds the end of its output."""


class ArtifactError(AndroidError):
    """A pinned artifact cannot be fetched or is not the pinned one."""


class RuntimeUnfit(AndroidError):
    """A native library or runtime given by the user does not fit the app."""


class ApkFault(AndroidError):
    """A finished APK breaks a rule of the packager."""
