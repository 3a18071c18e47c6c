package org.edgekit.ocr

/**
 * Grows [polygon] (x0, y0, x1, y1 .., truncated to integers) by [distance] pixels with round corners.
 *
 * It answers what A. Johnson's Clipper 6.4 answers for a convex polygon, vertex by vertex and in its order: arcs are
 * drawn so that they stay within [arcTolerance] of the circle. Returns null when nothing is left to grow.
 */
internal fun offsetPolygon(polygon: FloatArray, distance: Double, arcTolerance: Double): IntArray? {
    val outline = positive(distinct(IntArray(polygon.size) { polygon[it].toInt() }))
    if (outline.size < 6 || !(distance > 0)) return null
    val grown = OutlineGrower(outline, distance, arcTolerance).grow()
    return startAsClipper(withoutStraight(grown))
}

/** Drops vertices that repeat the one before them. */
private fun distinct(outline: IntArray): IntArray {
    val kept = PointList(outline.size)
    for (i in outline.indices step 2) {
        val same = kept.size > 0 && kept.x(kept.size - 1) == outline[i] && kept.y(kept.size - 1) == outline[i + 1]
        if (!same) kept.add(outline[i], outline[i + 1])
    }
    while (kept.size > 1 && kept.x(0) == kept.x(kept.size - 1) && kept.y(0) == kept.y(kept.size - 1)) kept.removeLast()
    return kept.toArray()
}

/** Returns the outline in the direction in which the shoelace formula gives a positive area. */
private fun positive(outline: IntArray): IntArray {
    val count = outline.size / 2
    var area = 0.0
    for (i in 0 until count) {
        val j = (i + 1) % count
        area += outline[2 * i].toDouble() * outline[2 * j + 1] - outline[2 * j].toDouble() * outline[2 * i + 1]
    }
    if (area >= 0) return outline
    return IntArray(outline.size) { i -> outline[2 * (count - 1 - i / 2) + i % 2] }
}

/** Drops vertices that lie on the straight line through their neighbours, until there are none. */
private fun withoutStraight(outline: PointList): IntArray {
    var current = outline
    while (true) {
        val kept = PointList(2 * current.size)
        for (i in 0 until current.size) {
            val before = if (kept.size > 0) kept.size - 1 else -1
            val beforeX = if (before >= 0) kept.x(before) else current.x(current.size - 1)
            val beforeY = if (before >= 0) kept.y(before) else current.y(current.size - 1)
            val after = (i + 1) % current.size
            val dx1 = (current.x(i) - beforeX).toLong()
            val dy1 = (current.y(i) - beforeY).toLong()
            val dx2 = (current.x(after) - current.x(i)).toLong()
            val dy2 = (current.y(after) - current.y(i)).toLong()
            if (dx1 * dy2 != dx2 * dy1) kept.add(current.x(i), current.y(i))
        }
        if (kept.size == current.size || kept.size < 3) return kept.toArray()
        current = kept
    }
}

/** Turns the list so that its last vertex is the one of least y, of greatest x among equals. */
private fun startAsClipper(outline: IntArray): IntArray? {
    val count = outline.size / 2
    if (count < 3) return null
    var last = 0
    for (i in 1 until count) {
        val y = outline[2 * i + 1]
        val least = outline[2 * last + 1]
        if (y < least || (y == least && outline[2 * i] > outline[2 * last])) last = i
    }
    return IntArray(outline.size) { i -> outline[(2 * (last + 1) + i) % outline.size] }
}

/** Draws the grown outline of a convex polygon with integer corners. */
private class OutlineGrower(private val outline: IntArray, private val distance: Double, arcTolerance: Double) {
    private val count = outline.size / 2
    private val normalX = DoubleArray(count)
    private val normalY = DoubleArray(count)
    private val stepsPerRadian: Double
    private val stepSin: Double
    private val stepCos: Double
    private val grown = PointList(16 * count)

    init {
        for (i in 0 until count) {
            val j = (i + 1) % count
            val dx = (outline[2 * j] - outline[2 * i]).toDouble()
            val dy = (outline[2 * j + 1] - outline[2 * i + 1]).toDouble()
            val scale = 1.0 / Math.sqrt(dx * dx + dy * dy)
            normalX[i] = dy * scale
            normalY[i] = -(dx * scale)
        }
        // A larger tolerance than a quarter of the distance would cut corners off.
        val tolerance = minOf(arcTolerance, distance * 0.25)
        val steps = minOf(Math.PI / StrictMath.acos(1 - tolerance / distance), distance * Math.PI)
        stepSin = StrictMath.sin(2 * Math.PI / steps)
        stepCos = StrictMath.cos(2 * Math.PI / steps)
        stepsPerRadian = steps / (2 * Math.PI)
    }

    fun grow(): PointList {
        var before = count - 1
        for (corner in 0 until count) {
            growCorner(corner, before)
            before = corner
        }
        return grown
    }

    /** Adds the points around a corner between the edge [before] it and the edge behind it. */
    private fun growCorner(corner: Int, before: Int) {
        var sine = normalX[before] * normalY[corner] - normalX[corner] * normalY[before]
        val cosine = normalX[before] * normalX[corner] + normalY[corner] * normalY[before]
        if (Math.abs(sine * distance) < 1.0) {
            if (cosine > 0) {
                add(corner, normalX[before], normalY[before])
                return
            }
        } else {
            sine = maxOf(-1.0, minOf(1.0, sine))
        }
        if (sine * distance < 0) {
            add(corner, normalX[before], normalY[before])
            grown.add(outline[2 * corner], outline[2 * corner + 1])
            add(corner, normalX[corner], normalY[corner])
        } else {
            growArc(corner, before, StrictMath.atan2(sine, cosine))
        }
    }

    private fun growArc(corner: Int, before: Int, angle: Double) {
        val steps = maxOf(round(stepsPerRadian * Math.abs(angle)), 1)
        var x = normalX[before]
        var y = normalY[before]
        for (step in 0 until steps) {
            add(corner, x, y)
            val turned = x * stepCos - stepSin * y
            y = x * stepSin + y * stepCos
            x = turned
        }
        add(corner, normalX[corner], normalY[corner])
    }

    private fun add(corner: Int, directionX: Double, directionY: Double) {
        val x = round(outline[2 * corner] + directionX * distance)
        val y = round(outline[2 * corner + 1] + directionY * distance)
        grown.addDistinct(x, y)
    }

    /** Rounds half away from zero. */
    private fun round(value: Double): Int = if (value < 0) (value - 0.5).toInt() else (value + 0.5).toInt()
}

/** A growing list of integer points. */
private class PointList(capacity: Int) {
    private var data = IntArray(maxOf(capacity, 2))
    var size = 0
        private set

    fun x(i: Int) = data[2 * i]

    fun y(i: Int) = data[2 * i + 1]

    fun add(x: Int, y: Int) {
        if (2 * size == data.size) data = data.copyOf(2 * data.size)
        data[2 * size] = x
        data[2 * size + 1] = y
        size++
    }

    /** Adds a point unless it repeats the last one. */
    fun addDistinct(x: Int, y: Int) {
        if (size == 0 || x(size - 1) != x || y(size - 1) != y) add(x, y)
    }

    fun removeLast() {
        size--
    }

    fun toArray(): IntArray = data.copyOf(2 * size)
}
