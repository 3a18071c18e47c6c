package org.edgekit.ocr

/** Orders, clips, filters and sorts detected boxes (specification section `boxes`). */
internal class BoxTidier(private val rules: BoxRules) {
    /** Returns the boxes of an image of [width] x [height] pixels that are kept, in reading order. */
    fun tidy(boxes: List<ScoredQuad>, width: Int, height: Int): List<ScoredQuad> {
        val kept = boxes.map { ScoredQuad(clipped(ordered(it.corners), width, height), it.score) }
            .filterNot { tooSmall(it.corners) }
        return readingOrder(kept)
    }

    private fun ordered(corners: FloatArray) = when (rules.order) {
        BoxOrder.CLOCKWISE -> orderClockwise(corners)
        BoxOrder.MINI_BOX -> corners.copyOf()
    }

    private fun clipped(corners: FloatArray, width: Int, height: Int): FloatArray {
        val margin = if (rules.clip == BoxClip.LAST_PIXEL) 1 else 0
        return FloatArray(8) { i ->
            clip(corners[i], ((if (i % 2 == 0) width else height) - margin).toFloat())
        }
    }

    private fun tooSmall(corners: FloatArray): Boolean {
        val least = rules.minSideExclusive ?: return false
        return minOf(cornerDistance(corners, 0, 1).toInt(), cornerDistance(corners, 0, 3).toInt()) <= least
    }

    /** Sorts by (y, x) of the first corner, then lets neighbours of one row swap by x, bubbling backwards. */
    private fun readingOrder(boxes: List<ScoredQuad>): List<ScoredQuad> {
        val order = boxes.sortedWith { a, b ->
            val byY = compareFloats(a.corners[1], b.corners[1])
            if (byY != 0) byY else compareFloats(a.corners[0], b.corners[0])
        }.toMutableList()
        val first = if (rules.rowSort == RowSort.KEEP_FIRST) 1 else 0
        for (i in 0 until order.size - 1) {
            for (j in i downTo first) {
                val upper = order[j].corners
                val lower = order[j + 1].corners
                if (!(Math.abs(lower[1] - upper[1]) < rules.rowTolerance && lower[0] < upper[0])) break
                order[j] = order[j + 1].also { order[j + 1] = order[j] }
            }
        }
        return order
    }
}

/**
 * Returns the corners as top-left, top-right, bottom-right, bottom-left by the sums and differences of x and y.
 *
 * A square on its corner can name one corner twice, as on the server: the rule is kept.
 */
internal fun orderClockwise(corners: FloatArray): FloatArray {
    val sums = FloatArray(4) { corners[2 * it] + corners[2 * it + 1] }
    val first = (0..3).first { i -> sums.none { it < sums[i] } }
    val third = (0..3).first { i -> sums.none { it > sums[i] } }
    val others = (0..3).filter { it != first && it != third }
    val differences = others.map { corners[2 * it + 1] - corners[2 * it] }
    val second = others[differences.indices.first { i -> differences.none { it < differences[i] } }]
    val fourth = others[differences.indices.first { i -> differences.none { it > differences[i] } }]
    val order = intArrayOf(first, second, third, fourth)
    return FloatArray(8) { i -> corners[2 * order[i / 2] + i % 2] }
}

/** Returns the distance of corners [a] and [b] as numpy's norm of float32 does: float products, a double sum. */
internal fun cornerDistance(corners: FloatArray, a: Int, b: Int): Float {
    val dx = corners[2 * a] - corners[2 * b]
    val dy = corners[2 * a + 1] - corners[2 * b + 1]
    val squares = ((dx * dx).toDouble() + (dy * dy).toDouble()).toFloat()
    return Math.sqrt(squares.toDouble()).toFloat()
}
