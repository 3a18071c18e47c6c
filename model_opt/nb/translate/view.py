"""One operator as its translator sees it: every attribute and argument must be asked for, or the file is refused."""

from __future__ import annotations

from typing import NoReturn

from model_opt.nb.errors import NbError
from model_opt.nb.types import NbModel
from model_opt.program import AttrType, AttrValue, Op

UNKNOWN = "this file needs a kernel or attribute that the translator does not know: report it with the model"

IGNORED_ATTRS = frozenset(
    {
        "op_device", "op_namescope", "op_role", "op_role_var", "op_callstack", "with_quant_attr",  # Paddle's own notes
        "use_mkldnn", "mkldnn_data_type", "use_cudnn", "use_quantizer", "exhaustive_search", "workspace_size_MB",
        "use_addto", "force_fp32_output",  # choices of Paddle's own engines
        "is_test", "process_type",
        "Scale_in", "Scale_out", "Scale_in_eltwise", "Scale_weights", "Scale_x", "Scale_y",  # MKL-DNN int8
        "x_data_format", "y_data_format",
        "quantization_type", "quantize_weight_bits",  # read when the weights are restored
    }
)  # fmt: skip
"""Attributes that no kernel of Paddle Lite's ARM and OpenCL engines reads when it runs."""

SCALE_SUFFIX = "_quant_scale"


class OpView:
    """Typed access to one operator, which remembers what was read."""

    __slots__ = ("_arguments", "_attrs", "_path", "_position", "_results", "desc")

    def __init__(self, desc: Op, position: int, model: NbModel) -> None:
        self.desc = desc
        self._path = model.path
        self._position = position
        self._attrs = {name for name in desc.attrs if name not in IGNORED_ATTRS and not name.endswith(SCALE_SUFFIX)}
        self._arguments = {name for name, arguments in desc.inputs.items() if arguments}
        self._results = {name for name, arguments in desc.outputs.items() if arguments}

    @property
    def target(self) -> str:
        """The target of the kernel: ``arm``, ``opencl`` or ``host``."""
        return "host" if self.desc.kernel is None else self.desc.kernel.target_name

    def fail(self, what: str, *, hint: str = UNKNOWN) -> NoReturn:
        """Raise the error for this operator."""
        place = f"operator {self._position} ({self.desc.type})"
        raise NbError(f"{place}: {what}", path=self._path, hint=hint, section=place)

    def has(self, name: str) -> bool:
        """Return whether an attribute is present."""
        return name in self.desc.attrs

    def _attr(self, name: str, kinds: tuple[AttrType, ...], default: AttrValue | None) -> AttrValue:
        self._attrs.discard(name)
        attr = self.desc.attrs.get(name)
        if attr is None or attr.value is None:
            if default is None:
                self.fail(f"the attribute {name!r} is missing")
            return default
        if attr.type not in kinds:
            self.fail(f"the attribute {name!r} is of type {AttrType(attr.type).name}")
        return attr.value

    def integer(self, name: str, default: int | None = None) -> int:
        """Return an integer attribute."""
        value = self._attr(name, (AttrType.INT, AttrType.LONG), default)
        return int(value)  # type: ignore[arg-type]

    def real(self, name: str, default: float | None = None) -> float:
        """Return a float attribute, which must be finite."""
        value = float(self._attr(name, (AttrType.FLOAT,), default))  # type: ignore[arg-type]
        if not abs(value) < float("inf"):
            self.fail(f"the attribute {name!r} is {value}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string attribute."""
        return str(self._attr(name, (AttrType.STRING,), default))

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Return a bool attribute."""
        return bool(self._attr(name, (AttrType.BOOLEAN,), default))

    def ints(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Return a list of integers."""
        value = self._attr(name, (AttrType.INTS, AttrType.LONGS), default)
        return tuple(int(item) for item in value)  # type: ignore[union-attr]

    def floats(self, name: str, default: tuple[float, ...] | None = None) -> tuple[float, ...]:
        """Return a list of floats, which must be finite."""
        values = tuple(float(item) for item in self._attr(name, (AttrType.FLOATS,), default))  # type: ignore[union-attr]
        if not all(abs(item) < float("inf") for item in values):
            self.fail(f"the attribute {name!r} is {list(values)}")
        return values

    def must(self, name: str, *allowed: AttrValue) -> None:
        """Raise unless the attribute is absent or has one of the values that mean nothing special."""
        self._attrs.discard(name)
        value = self.desc.attr(name)
        if value is not None and value not in allowed:
            self.fail(f"the attribute {name!r} is {value!r}, known is {' or '.join(map(repr, allowed))}")

    def ignore(self, *names: str) -> None:
        """Ignore attributes that have no effect on this operator."""
        self._attrs.difference_update(names)

    def arguments(self, slot: str) -> tuple[str, ...]:
        """Return the variables of an input slot, none when it is absent."""
        self._arguments.discard(slot)
        return self.desc.inputs.get(slot, ())

    def argument(self, slot: str) -> str:
        """Return the one variable of an input slot."""
        names = self.arguments(slot)
        if len(names) != 1:
            self.fail(f"the input {slot!r} holds {len(names)} variables, 1 expected")
        return names[0]

    def outputs(self, slot: str) -> tuple[str, ...]:
        """Return the variables of an output slot, none when it is absent."""
        self._results.discard(slot)
        return self.desc.outputs.get(slot, ())

    def output(self, slot: str) -> str:
        """Return the one variable of an output slot."""
        names = self.outputs(slot)
        if len(names) != 1:
            self.fail(f"the output {slot!r} holds {len(names)} variables, 1 expected")
        return names[0]

    def finish(self) -> None:
        """Raise if the operator has an attribute, an input or an output that its translator did not ask for."""
        if self._attrs:
            name = min(self._attrs)
            self.fail(f"the attribute {name!r} (= {str(self.desc.attr(name))[:60]}) is not known")
        if self._arguments:
            self.fail(f"the input {min(self._arguments)!r} is not known")
        if self._results:
            self.fail(f"the output {min(self._results)!r} is not known")
