package org.edgekit.ocr.app

import kotlin.math.max
import kotlin.math.min
import kotlin.math.roundToInt
import kotlin.math.sqrt

/**
 * What a line looks like, in a few grey values: [width] x [height] of them, row by row in [greys].
 *
 * Two prints are compared in blocks, each of which may have moved a little: boxes of one line differ from frame to
 * frame by about a tenth of its height. Brightness and contrast of the line do not count.
 */
class LinePrint(val width: Int, val height: Int, greys: FloatArray) {
    private val values = standardised(smoothed(greys))

    /** Returns whether [other], of the same size, shows the same text as far as such small pictures show. */
    fun like(other: LinePrint): Boolean {
        require(width == other.width && height == other.height) { "prints of different sizes" }
        for (top in 0..height - BLOCK step BLOCK) {
            for (left in 0..width - BLOCK step BLOCK) {
                if (leastDifference(other, left, top) > DIFFERENT) return false
            }
        }
        return true
    }

    /** Returns the mean square difference of one block to the best place nearby in [other]. */
    private fun leastDifference(other: LinePrint, left: Int, top: Int): Float {
        val (across, down) = if (width >= height) ALONG to ATHWART else ATHWART to ALONG
        var least = Float.MAX_VALUE
        for (dy in -down..down) {
            for (dx in -across..across) least = min(least, difference(other, left, top, dx, dy))
        }
        return least
    }

    /** The same where the block is moved by [dx] and [dy]; what then lies outside of [other] is left out. */
    private fun difference(other: LinePrint, left: Int, top: Int, dx: Int, dy: Int): Float {
        var sum = 0f
        var count = 0
        for (y in max(top, -dy) until min(top + BLOCK, height - dy)) {
            for (x in max(left, -dx) until min(left + BLOCK, width - dx)) {
                val apart = values[y * width + x] - other.values[(y + dy) * width + x + dx]
                sum += apart * apart
                count++
            }
        }
        return if (count == 0) Float.MAX_VALUE else sum / count
    }

    /** Blurs by (1 2 1) / 4 in both directions, the edges repeated: noise and the raster must not decide. */
    private fun smoothed(greys: FloatArray): FloatArray {
        require(greys.size == width * height) { "${greys.size} values for $width x $height" }
        val across = FloatArray(greys.size) { i ->
            val (x, row) = i % width to i - i % width
            (greys[row + max(x - 1, 0)] + 2 * greys[i] + greys[row + min(x + 1, width - 1)]) / 4
        }
        return FloatArray(greys.size) { i ->
            val (x, y) = i % width to i / width
            (across[max(y - 1, 0) * width + x] + 2 * across[i] + across[min(y + 1, height - 1) * width + x]) / 4
        }
    }

    private fun standardised(greys: FloatArray): FloatArray {
        val mean = greys.average().toFloat()
        val deviation = sqrt(greys.map { (it - mean) * (it - mean) }.average()).toFloat()
        val scale = 1 / max(deviation, LEAST_DEVIATION)
        return FloatArray(greys.size) { (greys[it] - mean) * scale }
    }

    companion object {
        /** Values over the height of a line, and the side of a block. */
        private const val BLOCK = 8
        private const val LONGEST = 256

        /** How far a block may have moved along the line and across it. */
        private const val ALONG = 2
        private const val ATHWART = 1

        /**
         * Between lines that stayed and others, in units of the line's variance (2: nothing in common). Chosen on the
         * regression images as frames of a hand-held camera, simulated: docs/android.md.
         */
        private const val DIFFERENT = 0.3f

        /** Grey levels: in a plain area only noise is left, which must not look like a change. */
        private const val LEAST_DEVIATION = 4f

        /** Returns width and height of the print of a line within [bounds]: as many values as its shape needs. */
        fun size(bounds: Bounds): Pair<Int, Int> {
            val (long, short) = max(bounds.width, bounds.height) to min(bounds.width, bounds.height)
            val values = (BLOCK * long / max(short, 1f)).roundToInt().coerceIn(BLOCK, LONGEST)
            return if (bounds.width >= bounds.height) values to BLOCK else BLOCK to values
        }
    }
}
