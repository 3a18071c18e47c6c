package org.edgekit.ocr

/** A loaded model that maps one input tensor to one output tensor. It knows nothing of OCR. */
interface InferenceEngine : AutoCloseable {
    /** The engine's name for messages and reports. */
    val name: String

    /**
     * Runs the model on [input] (float32, NCHW, sides in [shape]) and returns its first output.
     *
     * Throws [EngineException] when the engine fails or an output value is not finite.
     */
    fun run(input: FloatArray, shape: IntArray): Tensor
}

/** Outputs beyond this are garbage of a wrong kernel, not values of any OCR model. */
private const val ABSURD = 1e30f

/** Returns [output] if every value is finite and sane; else throws [EngineException] with the count of bad values. */
fun checkAnswer(engine: String, output: Tensor): Tensor {
    // A comparison with NaN is false, so this counts NaN too, which max() would hide.
    val bad = output.data.count { !(it >= -ABSURD && it <= ABSURD) }
    if (bad > 0) {
        throw EngineException(
            "engine $engine answered $bad of ${output.data.size} values that are not finite",
            "the model file may be made for another device or precision: try the other engine",
        )
    }
    return output
}

/** Throws [EngineException] unless [shape] has four sides above zero that [input] fills. */
fun checkInput(engine: String, input: FloatArray, shape: IntArray) {
    val size = shape.fold(1L) { product, side -> product * side }
    if (shape.size != 4 || shape.any { it <= 0 } || size != input.size.toLong()) {
        throw EngineException(
            "engine $engine takes tensors of [n, c, h, w]; got ${input.size} values as ${shape.toList()}",
        )
    }
}
