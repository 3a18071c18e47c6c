package org.edgekit.ocr

import org.opencv.core.Core
import org.opencv.core.CvType
import org.opencv.core.Mat
import org.opencv.core.MatOfPoint
import org.opencv.core.Scalar
import org.opencv.imgproc.Imgproc

/** A box of four corners x0, y0 .. x3, y3 and its score. */
internal class ScoredQuad(val corners: FloatArray, val score: Double)

/**
 * Turns a probability map into boxes (specification section `db`; Liao et al., "Real-time Scene Text Detection with
 * Differentiable Binarization", 2020).
 */
internal class DbPost(private val rules: DbRules) {
    /**
     * Returns the boxes in integer pixels of the source image ([width] x [height]), clipped to [0, side], in the order
     * of their contours.
     */
    fun boxes(map: ProbMap, width: Int, height: Int): List<ScoredQuad> {
        val found = matScope { scope -> boxesOfMap(scope, map) }
        for (box in found) {
            for (i in 0 until 8 step 2) {
                box.corners[i] = scaled(box.corners[i], map.width, width)
                box.corners[i + 1] = scaled(box.corners[i + 1], map.height, height)
            }
        }
        return found
    }

    /** Scales a coordinate and rounds half to even, as numpy does. */
    private fun scaled(value: Float, from: Int, to: Int): Float {
        val exact = when (rules.boxScaling) {
            BoxScaling.FLOAT32_STEPS -> (value / from.toFloat() * to.toFloat()).toDouble()
            BoxScaling.FLOAT64_RATIO -> value * (to.toDouble() / from)
        }
        return clip(Math.rint(exact).toFloat(), to.toFloat())
    }

    private fun boxesOfMap(scope: MatScope, map: ProbMap): List<ScoredQuad> {
        val mask = textMask(scope, map, rules)
        val contours = ArrayList<MatOfPoint>()
        Imgproc.findContours(mask, contours, scope.mat(), Imgproc.RETR_LIST, Imgproc.CHAIN_APPROX_SIMPLE)
        for (contour in contours) scope.own(contour)
        val probabilities = map.toMat(scope)
        val boxes = ArrayList<ScoredQuad>()
        for (contour in contours.take(rules.maxCandidates)) {
            val points = IntArray(2 * contour.rows())
            contour.get(0, 0, points)
            boxOfContour(probabilities, points)?.let { boxes.add(it) }
        }
        return boxes
    }

    /** Returns the grown rectangle around a contour and its score, or null when a rule drops it. */
    private fun boxOfContour(probabilities: Mat, contour: IntArray): ScoredQuad? {
        val rectangle = minAreaQuad(contour)
        if (rectangle.shortSide < rules.minShortSide) return null
        val outline = when (rules.scoreMode) {
            ScoreMode.FAST -> rectangle.corners
            ScoreMode.SLOW -> FloatArray(contour.size) { contour[it].toFloat() }
        }
        val score = meanInside(probabilities, outline)
        if (rules.boxThresh > score) return null
        val grown = unclip(rectangle.corners, rules) ?: return null
        val box = minAreaQuad(grown)
        return if (box.shortSide < rules.minUnclippedShortSide) null else ScoredQuad(box.corners, score)
    }
}

/** Returns the mean of [probabilities] inside a polygon: points truncated to integers, bounds by floor and ceil. */
internal fun meanInside(probabilities: Mat, outline: FloatArray): Double = matScope { scope ->
    val xs = outline.filterIndexed { i, _ -> i % 2 == 0 }
    val ys = outline.filterIndexed { i, _ -> i % 2 == 1 }
    val left = bound(Math.floor(xs.min().toDouble()), probabilities.cols())
    val right = bound(Math.ceil(xs.max().toDouble()), probabilities.cols())
    val top = bound(Math.floor(ys.min().toDouble()), probabilities.rows())
    val bottom = bound(Math.ceil(ys.max().toDouble()), probabilities.rows())
    val inside = scope.own(Mat(bottom - top + 1, right - left + 1, CvType.CV_8UC1, Scalar(0.0)))
    val local = IntArray(outline.size) { i -> (outline[i] - (if (i % 2 == 0) left else top).toFloat()).toInt() }
    val polygon = scope.own(MatOfPoint())
    polygon.create(local.size / 2, 1, CvType.CV_32SC2)
    polygon.put(0, 0, local)
    Imgproc.fillPoly(inside, listOf(polygon), Scalar(1.0))
    val window = scope.own(probabilities.submat(top, bottom + 1, left, right + 1))
    Core.mean(window, inside).`val`[0]
}

/** Clips to [0, most]; -0 becomes 0, as in numpy. */
internal fun clip(value: Float, most: Float): Float {
    val atLeast = if (value > 0f) value else 0f
    return if (atLeast < most) atLeast else most
}

private fun bound(value: Double, side: Int): Int = maxOf(0.0, minOf(value, (side - 1).toDouble())).toInt()

/**
 * Grows a rectangle by `area * ratio / perimeter`; returns integer points, or null when nothing is left.
 *
 * How area and perimeter are summed decides the last bit of the distance: in float64 in the order of the GEOS library,
 * which PaddleOCR 2 uses, or as OpenCV does for a contour.
 */
internal fun unclip(rectangle: FloatArray, rules: DbRules): IntArray? {
    val (area, perimeter) = when (rules.unclipDistance) {
        UnclipDistance.SHOELACE -> Pair(area(rectangle), perimeter(rectangle))
        UnclipDistance.CONTOUR -> Pair(contourArea(rectangle), arcLength(rectangle))
    }
    if (perimeter == 0.0) return null
    return offsetPolygon(rectangle, area * rules.unclipRatio / perimeter, rules.offsetArcTolerance)
}

/** OpenCV's contourArea: the products of float32 coordinates are exact in float64. */
private fun contourArea(polygon: FloatArray): Double {
    val count = polygon.size / 2
    var total = 0.0
    for (i in 0 until count) {
        val before = (i + count - 1) % count
        val down = polygon[2 * before].toDouble() * polygon[2 * i + 1]
        total += down - polygon[2 * before + 1].toDouble() * polygon[2 * i]
    }
    return Math.abs(total * 0.5)
}

/** OpenCV's arcLength of a closed outline of up to 16 points: lengths in float32, the last one summed first. */
private fun arcLength(polygon: FloatArray): Double {
    val count = polygon.size / 2
    var total = 0.0
    for (i in count - 1 downTo 0) total += sideBefore(polygon, i, (i + count - 1) % count)
    return total
}

private fun sideBefore(polygon: FloatArray, i: Int, before: Int): Float {
    val dx = polygon[2 * i] - polygon[2 * before]
    val dy = polygon[2 * i + 1] - polygon[2 * before + 1]
    return Math.sqrt((dx * dx + dy * dy).toDouble()).toFloat()
}

private fun area(polygon: FloatArray): Double {
    val count = polygon.size / 2
    val originX = polygon[0].toDouble()
    var total = 0.0
    for (i in 1 until count) {
        val after = (i + 1) % count
        val height = polygon[2 * (i - 1) + 1].toDouble() - polygon[2 * after + 1].toDouble()
        total += (polygon[2 * i].toDouble() - originX) * height
    }
    return Math.abs(total / 2.0)
}

private fun perimeter(polygon: FloatArray): Double {
    val count = polygon.size / 2
    var total = 0.0
    for (i in 0 until count) {
        val next = (i + 1) % count
        val dx = polygon[2 * next].toDouble() - polygon[2 * i].toDouble()
        val dy = polygon[2 * next + 1].toDouble() - polygon[2 * i + 1].toDouble()
        total += Math.sqrt(dx * dx + dy * dy)
    }
    return total
}
