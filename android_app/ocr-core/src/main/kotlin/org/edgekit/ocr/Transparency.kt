package org.edgekit.ocr

import org.opencv.core.CvType
import org.opencv.core.Mat

/** What becomes of transparent pixels: the colour beneath them is shown, or the picture is laid on white. */
enum class Alpha { DROP, ON_WHITE }

/** A picture laid on white, with the arithmetic of PaddleOCR 2.10: `255 (1 - a) + c a` in doubles, truncated. */
object Transparency {
    private const val LEVELS = 256

    /** The levels by alpha and colour, as `ocr/image.py` computes them. */
    private val table = ByteArray(LEVELS * LEVELS) { i ->
        val share = (i / LEVELS) / 255.0
        (255 * (1 - share) + (i % LEVELS) * share).toInt().toByte()
    }

    /** Returns the level, 0 to 255, of a [colour] with that [alpha] on white. */
    fun onWhite(colour: Int, alpha: Int): Int = table[alpha * LEVELS + colour].toInt() and 0xff

    /** Lays [image] (CV_8UC3) on white, in place; [alpha] (CV_8UC1) has the same size. */
    fun layOnWhite(image: Mat, alpha: Mat) {
        require(alpha.type() == CvType.CV_8UC1 && alpha.size() == image.size()) { "alpha of another type or size" }
        val colours = ByteArray(image.cols() * 3)
        val shares = ByteArray(image.cols())
        for (row in 0 until image.rows()) {
            image.get(row, 0, colours)
            alpha.get(row, 0, shares)
            for (i in colours.indices) {
                val share = shares[i / 3].toInt() and 0xff
                colours[i] = onWhite(colours[i].toInt() and 0xff, share).toByte()
            }
            image.put(row, 0, colours)
        }
    }
}
