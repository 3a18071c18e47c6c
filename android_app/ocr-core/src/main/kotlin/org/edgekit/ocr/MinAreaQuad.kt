package org.edgekit.ocr

import org.opencv.core.CvType
import org.opencv.core.MatOfInt
import org.opencv.core.MatOfPoint
import org.opencv.imgproc.Imgproc

/** The corners x0, y0 .. x3, y3 of a rectangle in any direction, and its shorter side, in pixels. */
internal class MinAreaQuad(val corners: FloatArray, val shortSide: Float)

/**
 * Returns the smallest rectangle around integer points x0, y0, x1, y1 ..
 *
 * Only the convex hull is OpenCV's: its float geometry differs between processors, so that is done here, in the order
 * of operations that the x86 build of OpenCV 4.11 has. The corners are ordered by x; of the left pair the upper comes
 * first and the lower last, of the right pair the upper second and the lower third.
 */
internal fun minAreaQuad(points: IntArray): MinAreaQuad {
    val rectangle = minAreaRectangle(convexHull(points))
    return MinAreaQuad(orderByX(rectangle.corners()), minOf(rectangle.width, rectangle.height))
}

/** Returns the vertices of the convex hull as x0, y0, x1, y1 .. */
internal fun convexHull(points: IntArray): FloatArray = matScope { scope ->
    val mat = scope.own(MatOfPoint())
    mat.create(points.size / 2, 1, CvType.CV_32SC2)
    mat.put(0, 0, points)
    val hull = scope.own(MatOfInt())
    Imgproc.convexHull(mat, hull, false)
    val indices = IntArray(hull.rows())
    hull.get(0, 0, indices)
    FloatArray(indices.size * 2) { i -> points[2 * indices[i / 2] + i % 2].toFloat() }
}

private fun orderByX(corners: FloatArray): FloatArray {
    // A stable sort by x; with < alone, since -0 and 0 are equal here.
    val order = (0..3).sortedWith { a, b -> compareFloats(corners[2 * a], corners[2 * b]) }
    val y = { i: Int -> corners[2 * order[i] + 1] }
    val (topLeft, bottomLeft) = if (y(1) > y(0)) Pair(0, 1) else Pair(1, 0)
    val (topRight, bottomRight) = if (y(3) > y(2)) Pair(2, 3) else Pair(3, 2)
    val clockwise = intArrayOf(topLeft, topRight, bottomRight, bottomLeft)
    return FloatArray(8) { i -> corners[2 * order[clockwise[i / 2]] + i % 2] }
}

/** Compares by < and > alone: -0 equals 0, unlike in Float.compareTo. */
internal fun compareFloats(a: Float, b: Float): Int = if (a < b) -1 else if (a > b) 1 else 0
