package org.edgekit.ocr

/** A rectangle by centre, sides and the direction of its width in degrees, as OpenCV's RotatedRect. */
internal class RotatedRectangle(
    private val centerX: Float,
    private val centerY: Float,
    val width: Float,
    val height: Float,
    private val angle: Float,
) {
    /** Returns the corners x0, y0 .. x3, y3 in OpenCV's order. */
    fun corners(): FloatArray {
        val radians = angle * Math.PI / 180.0
        val b = StrictMath.cos(radians).toFloat() * 0.5f
        val a = StrictMath.sin(radians).toFloat() * 0.5f
        val x0 = centerX - a * height - b * width
        val y0 = centerY + b * height - a * width
        val x1 = centerX + a * height - b * width
        val y1 = centerY - b * height - a * width
        return floatArrayOf(x0, y0, x1, y1, 2 * centerX - x0, 2 * centerY - y0, 2 * centerX - x1, 2 * centerY - y1)
    }
}

/** Returns the rectangle of least area around a convex [hull] of at least one vertex: x0, y0, x1, y1 .. */
internal fun minAreaRectangle(hull: FloatArray): RotatedRectangle = when (hull.size / 2) {
    1 -> RotatedRectangle(hull[0], hull[1], 0f, 0f, 0f)
    2 -> segment(hull)
    else -> RotatingCalipers(hull).smallest()
}

private fun segment(hull: FloatArray): RotatedRectangle {
    val dx = (hull[2] - hull[0]).toDouble()
    val dy = (hull[3] - hull[1]).toDouble()
    return RotatedRectangle(
        (hull[0] + hull[2]) * 0.5f,
        (hull[1] + hull[3]) * 0.5f,
        Math.sqrt(dx * dx + dy * dy).toFloat(),
        0f,
        degrees(dy, dx),
    )
}

/** Returns the direction of (x, y) in degrees, rounded to float32 before and after the conversion. */
private fun degrees(y: Double, x: Double): Float = (StrictMath.atan2(y, x).toFloat() * 180f / Math.PI).toFloat()

/**
 * The rotating calipers of G. Toussaint (1983): four lines around the hull, at right angles, turn until the next hull
 * edge lies on one of them; the smallest rectangle has a side on a hull edge.
 *
 * Single precision and the order of each sum are OpenCV's: another order gives other last bits.
 */
private class RotatingCalipers(private val hull: FloatArray) {
    private val count = hull.size / 2
    private val edgeX = FloatArray(count)
    private val edgeY = FloatArray(count)
    private val inverseLength = FloatArray(count)

    /** The vertices that the four lines touch: least y, greatest x, greatest y, least x at the start. */
    private val touched = IntArray(4)

    /** The direction of the first line. */
    private var baseX = 0f
    private var baseY = 0f

    private class Best(val a: Float, val b: Float, val width: Float, val height: Float, val left: Int, val bottom: Int)

    init {
        for (i in 0 until count) measureEdge(i)
        for (i in 0 until count) {
            if (y(i) < y(touched[0])) touched[0] = i
            if (x(i) > x(touched[1])) touched[1] = i
            if (y(i) > y(touched[2])) touched[2] = i
            if (x(i) < x(touched[3])) touched[3] = i
        }
        baseX = orientation()
    }

    fun smallest(): RotatedRectangle {
        var best: Best? = null
        var least = Float.MAX_VALUE
        for (step in 0 until count) {
            turn()
            val width = (x(touched[1]) - x(touched[3])) * baseX + (y(touched[1]) - y(touched[3])) * baseY
            val height = -(x(touched[2]) - x(touched[0])) * baseY + (y(touched[2]) - y(touched[0])) * baseX
            val area = width * height
            if (area <= least) {
                least = area
                best = Best(baseX, baseY, width, height, touched[3], touched[0])
            }
        }
        // The area of a hull of 20-bit coordinates is finite, so the first step always sets it.
        return rectangle(checkNotNull(best))
    }

    private fun x(i: Int) = hull[2 * i]

    private fun y(i: Int) = hull[2 * i + 1]

    private fun measureEdge(i: Int) {
        val next = if (i + 1 < count) i + 1 else 0
        val dx = (x(next) - x(i)).toDouble()
        val dy = (y(next) - y(i)).toDouble()
        edgeX[i] = dx.toFloat()
        edgeY[i] = dy.toFloat()
        inverseLength[i] = (1.0 / Math.sqrt(dx * dx + dy * dy)).toFloat()
    }

    private fun orientation(): Float {
        var before = count - 1
        for (i in 0 until count) {
            val cross = edgeX[before].toDouble() * edgeY[i] - edgeY[before].toDouble() * edgeX[i]
            if (cross != 0.0) return if (cross > 0) 1f else -1f
            before = i
        }
        return 1f
    }

    /** Turns the lines until the nearest edge lies on its line, and moves that line's vertex on. */
    private fun turn() {
        val x = FloatArray(4)
        val y = FloatArray(4)
        for (line in 0..3) {
            val edge = touched[line]
            when (line) {
                0 -> { x[0] = edgeX[edge]; y[0] = edgeY[edge] }
                1 -> { x[1] = edgeY[edge]; y[1] = -edgeX[edge] }
                2 -> { x[2] = -edgeX[edge]; y[2] = -edgeY[edge] }
                else -> { x[3] = -edgeY[edge]; y[3] = edgeX[edge] }
            }
        }
        var nearest = 0
        for (line in 1..3) {
            if (y[line] * x[nearest] + -x[line] * y[nearest] < 0) nearest = line
        }
        aim(nearest)
        touched[nearest] = if (touched[nearest] + 1 == count) 0 else touched[nearest] + 1
    }

    private fun aim(line: Int) {
        val edge = touched[line]
        val leadX = edgeX[edge] * inverseLength[edge]
        val leadY = edgeY[edge] * inverseLength[edge]
        when (line) {
            0 -> { baseX = leadX; baseY = leadY }
            1 -> { baseX = leadY; baseY = -leadX }
            2 -> { baseX = -leadX; baseY = -leadY }
            else -> { baseX = -leadY; baseY = leadX }
        }
    }

    /** Returns the rectangle whose corner is where the line through `left` meets the line through `bottom`. */
    private fun rectangle(best: Best): RotatedRectangle {
        val a1 = best.a
        val b1 = best.b
        val a2 = -best.b
        val b2 = best.a
        val c1 = a1 * x(best.left) + y(best.left) * b1
        val c2 = a2 * x(best.bottom) + y(best.bottom) * b2
        val inverse = 1f / (a1 * b2 - a2 * b1)
        val cornerX = (c1 * b2 - c2 * b1) * inverse
        val cornerY = (a1 * c2 - a2 * c1) * inverse
        val alongX = a1 * best.width
        val alongY = b1 * best.width
        val upX = a2 * best.height
        val upY = b2 * best.height
        return RotatedRectangle(
            cornerX + (alongX + upX) * 0.5f,
            cornerY + (alongY + upY) * 0.5f,
            Math.sqrt(alongX.toDouble() * alongX + alongY.toDouble() * alongY).toFloat(),
            Math.sqrt(upX.toDouble() * upX + upY.toDouble() * upY).toFloat(),
            degrees(alongY.toDouble(), alongX.toDouble()),
        )
    }
}
