package org.edgekit.ocr

/** A float32 tensor in row-major order; [shape] holds its sides, their product is the size of [data]. */
class Tensor(val data: FloatArray, val shape: IntArray) {
    init {
        require(shape.fold(1L) { size, side -> size * side } == data.size.toLong()) {
            "a tensor of ${shape.joinToString("x")} cannot hold ${data.size} values"
        }
    }
}
