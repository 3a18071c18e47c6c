"""The tables of a ``.nb`` file, field by field in the order of their slots.

They follow upstream's ``framework.fbs`` and ``param.fbs`` (``lite/model_parser/flatbuffers``). A union takes two slots:
its type, then its table.
"""

from __future__ import annotations

from collections.abc import Mapping

from model_opt.nb.flat import TableKind
from model_opt.program import AttrType


def _kind(name: str, /, **fields: str) -> TableKind:
    return TableKind(name, tuple(fields.items()))


VERSION = _kind("Version", version="i64")
OP_VERSION = _kind("OpVersion", version="i32")
OP_VERSION_PAIR = _kind("OpVersionPair", op_name="string", op_version="OpVersion")
OP_VERSIONS = _kind("OpVersionMap", pair="[OpVersionPair]")
PROGRAM = _kind("ProgramDesc", blocks="[BlockDesc]", version="Version", op_version_map="OpVersionMap")
BLOCK = _kind("BlockDesc", idx="i32", parent_idx="i32", vars="[VarDesc]", ops="[OpDesc]", forward_block_idx="i32")
OP = _kind("OpDesc", type="string", inputs="[OpDesc.Var]", outputs="[OpDesc.Var]", attrs="[Attr]", is_target="u8")
OP_VAR = _kind("OpDesc.Var", parameter="string", arguments="[string]")
ATTR = _kind(
    "Attr", name="string", type="i32", i="i32", f="f32", s="string", ints="[i32]", floats="[f32]", strings="[string]",
    b="u8", bools="[u8]", block_idx="i32", l="i64", blocks_idx="[i32]", longs="[i64]", float64="f64",
    float64s="[f64]",
)  # fmt: skip
ATTR_SLOTS: Mapping[AttrType, int] = {
    kind: slot
    for slot, kind in enumerate(
        (
            AttrType.INT, AttrType.FLOAT, AttrType.STRING, AttrType.INTS, AttrType.FLOATS, AttrType.STRINGS,
            AttrType.BOOLEAN, AttrType.BOOLEANS, AttrType.BLOCK, AttrType.LONG, AttrType.BLOCKS, AttrType.LONGS,
            AttrType.FLOAT64, AttrType.FLOAT64S,
        ),
        start=2,
    )
}  # fmt: skip
"""The slot of ``ATTR`` that holds the value of each type of attribute."""
VAR = _kind("VarDesc", name="string", type="VarType", persistable="u8", need_check_feed="u8")
VAR_TYPE = _kind(
    "VarType",
    type="i32",
    selected_rows="VarType.TensorDesc",
    lod_tensor="VarType.LoDTensorDesc",
    tensor_array="VarType.LoDTensorDesc",
    reader="VarType.ReaderDesc",
    tuple="VarType.Tuple",
)
VAR_TENSOR = _kind("VarType.LoDTensorDesc", tensor="VarType.TensorDesc", lod_level="i32")
TENSOR = _kind("VarType.TensorDesc", data_type="i32", dims="[i64]")
READER = _kind("VarType.ReaderDesc", lod_tensor="[VarType.LoDTensorDesc]")
TUPLE = _kind("VarType.Tuple", element_type="[i32]")
PARAM = _kind(
    "ParamDesc", version="ParamDesc.Version", name="string", variable_type="u8", variable="ParamDesc.LoDTensorDesc"
)
PARAM_TENSOR = _kind("ParamDesc.LoDTensorDesc", lod_level="i32", lod="[i64]", dim="[i64]", data_type="i32", data="[u8]")

TOPOLOGY: Mapping[str, TableKind] = {
    kind.name: kind
    for kind in (VERSION, OP_VERSION, OP_VERSION_PAIR, OP_VERSIONS, PROGRAM, BLOCK, OP, OP_VAR, ATTR)
    + (VAR, VAR_TYPE, VAR_TENSOR, TENSOR, READER, TUPLE)
}
"""The tables that a topology is made of, by their names."""

NEWEST_TYPE = 21
"""The last number of ``VarType`` that the format knows; Paddle has later ones."""
