"""Which devices a pipeline's engines run on: ``auto`` and several numbers, by the engines' table of devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edge_kit.engines.devices import Device, check_device, parse_device
from edge_kit.settings import PipelineSettings
from model_opt.errors import KitError

AUTO = "auto"

DevicePair = tuple[str, str]
"""The devices of a detector and of its recogniser, each one device: ``gpu:0``."""


def device_sets(settings: PipelineSettings) -> tuple[DevicePair, ...]:
    """Return the devices of each set of engines: one set, or one for each number that was named.

    A model on one device shares it among all sets. Raises ``KitError`` for devices that do not exist, and for two
    lists of different lengths.
    """
    det, rec = (parse_device(one or settings.device) for one in (settings.det_device, settings.rec_device))
    count = max(len(det.each), len(rec.each))
    if {len(det.each), len(rec.each)} - {1, count}:
        raise KitError(
            f"the detector has {len(det.each)} devices and the recogniser {len(rec.each)}",
            hint="give both as many, or one of them one",
        )
    return tuple(zip(_spread(det, count), _spread(rec, count), strict=True))


def check_devices(settings: PipelineSettings) -> None:
    """Raise ``KitError`` for devices that the settings' engine cannot run on, before any model is fetched."""
    if settings.engine == "server":  # what runs its models depends on their files
        return
    for device in dict.fromkeys(one for pair in device_sets(settings) for one in pair):
        check_device(device, settings.engine)


def _spread(device: Device, count: int) -> Sequence[str]:
    return device.each if len(device.each) == count else device.each * count


def wants_auto(settings: PipelineSettings) -> bool:
    """Return whether a device is left to the machine."""
    return AUTO in (settings.device, settings.det_device, settings.rec_device)


def with_devices(settings: PipelineSettings, device: str) -> PipelineSettings:
    """Return the settings with ``device`` wherever they say ``auto``."""
    det, rec = (device if one == AUTO else one for one in (settings.det_device, settings.rec_device))
    return replace(
        settings, device=device if settings.device == AUTO else settings.device, det_device=det, rec_device=rec
    )
