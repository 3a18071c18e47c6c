package org.edgekit.ocr

import org.opencv.core.Mat

/** The value that [level] gives each pixel level (0 to 255) in each plane. */
internal class Normaliser private constructor(order: ChannelOrder, level: (plane: Int, level: Float) -> Float) {
    private val tables = Array(PLANES) { plane -> FloatArray(256) { level(plane, it.toFloat()) } }

    /** The channel of the BGR image that each plane takes. */
    private val channels = if (order == ChannelOrder.BGR) intArrayOf(0, 1, 2) else intArrayOf(2, 1, 0)

    /**
     * Writes [image] (BGR) as three planes into [target], whose rows hold [stride] values: columns from the image's
     * width on are left as they are.
     */
    fun write(image: Mat, target: FloatArray, stride: Int) {
        val width = image.cols()
        val height = image.rows()
        val bytes = pixels(image)
        for (plane in 0 until PLANES) {
            val table = tables[plane]
            val channel = channels[plane]
            for (y in 0 until height) {
                var from = y * width * PLANES + channel
                var to = (plane * height + y) * stride
                for (x in 0 until width) {
                    target[to++] = table[bytes[from].toInt() and 0xff]
                    from += PLANES
                }
            }
        }
    }

    companion object {
        const val PLANES = 3

        /** The detector's values by the arithmetic that its rules name, each step rounded to float32. */
        fun of(rules: DetectionRules): Normaliser = when (rules.normalise) {
            Normalise.SUBTRACT_DIVIDE -> subtractDivide(rules.divisor, rules.mean, rules.std, rules.channelOrder)
            Normalise.MULTIPLY_ADD -> {
                val alpha = FloatArray(PLANES) { (1.0 / rules.divisor / rules.std[it]).toFloat() }
                val beta = FloatArray(PLANES) { (-rules.mean[it] / rules.std[it]).toFloat() }
                Normaliser(rules.channelOrder) { plane, level -> level * alpha[plane] + beta[plane] }
            }
        }

        /** `(level / divisor - mean) / std` with one mean and deviation for all planes. */
        fun uniform(divisor: Double, mean: Double, std: Double, order: ChannelOrder) =
            subtractDivide(divisor, List(PLANES) { mean }, List(PLANES) { std }, order)

        private fun subtractDivide(divisor: Double, mean: List<Double>, std: List<Double>, order: ChannelOrder) =
            Normaliser(order) { plane, level ->
                (level / divisor.toFloat() - mean[plane].toFloat()) / std[plane].toFloat()
            }
    }
}
