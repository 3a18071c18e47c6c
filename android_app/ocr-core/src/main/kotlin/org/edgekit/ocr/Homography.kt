package org.edgekit.ocr

/**
 * Returns the 3x3 matrix, row by row, that maps the quad [corners] to the upright rectangle of [width] x [height]:
 * zeros and a last 1 where the quad is singular, as OpenCV 4.11 answers.
 *
 * Done here and not by OpenCV, whose result differs in the last bits between processors.
 */
internal fun homography(corners: FloatArray, width: Int, height: Int): DoubleArray {
    val targetX = floatArrayOf(0f, width.toFloat(), width.toFloat(), 0f)
    val targetY = floatArrayOf(0f, 0f, height.toFloat(), height.toFloat())
    val rows = Array(8) { DoubleArray(9) }
    for (i in 0..3) {
        val x = corners[2 * i]
        val y = corners[2 * i + 1]
        val upper = rows[i]
        val lower = rows[i + 4]
        upper[0] = x.toDouble()
        upper[1] = y.toDouble()
        upper[2] = 1.0
        upper[6] = (-x * targetX[i]).toDouble()
        upper[7] = (-y * targetX[i]).toDouble()
        upper[8] = targetX[i].toDouble()
        lower[3] = x.toDouble()
        lower[4] = y.toDouble()
        lower[5] = 1.0
        lower[6] = (-x * targetY[i]).toDouble()
        lower[7] = (-y * targetY[i]).toDouble()
        lower[8] = targetY[i].toDouble()
    }
    val solution = solve(rows) ?: DoubleArray(8)
    return solution + 1.0
}

/** A pivot below this makes a system singular (OpenCV's bound for its LU decomposition in float64). */
private const val SINGULAR = 2.220446049250313e-16 * 100

/**
 * Solves a linear system by Gaussian elimination with the largest pivot of each column; each row ends in its right
 * side. Returns null when it is singular.
 */
private fun solve(rows: Array<DoubleArray>): DoubleArray? {
    val size = rows.size
    for (column in 0 until size) {
        var pivot = column
        for (row in column + 1 until size) {
            if (Math.abs(rows[row][column]) > Math.abs(rows[pivot][column])) pivot = row
        }
        if (Math.abs(rows[pivot][column]) < SINGULAR) return null
        rows[column] = rows[pivot].also { rows[pivot] = rows[column] }
        val scale = -1 / rows[column][column]
        for (row in column + 1 until size) {
            val factor = rows[row][column] * scale
            for (k in column + 1..size) rows[row][k] += factor * rows[column][k]
        }
    }
    val solution = DoubleArray(size)
    for (row in size - 1 downTo 0) {
        var rest = rows[row][size]
        for (k in row + 1 until size) rest -= rows[row][k] * solution[k]
        solution[row] = rest / rows[row][row]
    }
    return solution
}

/** Returns the inverse of a 3x3 matrix by its cofactors, zeros when its determinant is zero. */
internal fun inverse(m: DoubleArray): DoubleArray {
    val determinant = m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
        m[2] * (m[3] * m[7] - m[4] * m[6])
    if (determinant == 0.0) return DoubleArray(9)
    val d = 1.0 / determinant
    return doubleArrayOf(
        (m[4] * m[8] - m[5] * m[7]) * d,
        (m[2] * m[7] - m[1] * m[8]) * d,
        (m[1] * m[5] - m[2] * m[4]) * d,
        (m[5] * m[6] - m[3] * m[8]) * d,
        (m[0] * m[8] - m[2] * m[6]) * d,
        (m[2] * m[3] - m[0] * m[5]) * d,
        (m[3] * m[7] - m[4] * m[6]) * d,
        (m[1] * m[6] - m[0] * m[7]) * d,
        (m[0] * m[4] - m[1] * m[3]) * d,
    )
}
