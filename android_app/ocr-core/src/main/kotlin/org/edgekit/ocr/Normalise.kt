package org.edgekit.ocr

import org.opencv.core.Mat

/** The value of each pixel level in each plane: `(level / divisor - mean) / std`, each step rounded to float32. */
internal class Normaliser(divisor: Double, mean: List<Double>, std: List<Double>, order: ChannelOrder) {
    private val tables = Array(PLANES) { plane ->
        FloatArray(256) { level ->
            (level.toFloat() / divisor.toFloat() - mean[plane].toFloat()) / std[plane].toFloat()
        }
    }

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

        /** One mean and deviation for all planes. */
        fun uniform(divisor: Double, mean: Double, std: Double, order: ChannelOrder) =
            Normaliser(divisor, List(PLANES) { mean }, List(PLANES) { std }, order)
    }
}
