"""Device profiles: what to run how on which device, with a reason for each value.

In: ``configs/devices/*.yaml`` or a user's own profile file. Out: ``runtime_config.json`` for the device.
"""

from edge_kit.devices.profiles import (
    DeviceError,
    DeviceProfile,
    check_fit,
    default_profile,
    list_profiles,
    load_profile,
)
from edge_kit.devices.runtime import ModelEntry, runtime_config

__all__ = [
    "DeviceError",
    "DeviceProfile",
    "ModelEntry",
    "check_fit",
    "default_profile",
    "list_profiles",
    "load_profile",
    "runtime_config",
]
