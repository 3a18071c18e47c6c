package org.edgekit.ocr

import org.opencv.core.Core
import org.opencv.core.CvType
import org.opencv.core.Mat
import org.opencv.imgproc.Imgproc

/** OpenCV's fixed-point maps hold source coordinates of 15 bits. */
private const val LARGEST_SIDE = 32766

/** Positions in the source are rounded to 1/32 pixel. */
private const val STEPS = 32
private const val STEP_BITS = 5

/**
 * Returns the quad [corners] of [image] drawn as an upright rectangle of [width] x [height] pixels.
 *
 * OpenCV's warpPerspective, taken apart: the map of source positions is made here in float64, which gives the same bits
 * on every processor; the integer blending is left to OpenCV.
 */
internal fun warp(scope: MatScope, image: Mat, corners: FloatArray, width: Int, height: Int, how: Interpolation): Mat {
    if (maxOf(image.cols(), image.rows(), maxOf(width, height)) > LARGEST_SIDE) {
        throw ImageException(
            "the image is ${image.cols()} x ${image.rows()} pixels; lines can be cut from up to $LARGEST_SIDE a side",
            "make it smaller or cut it in parts",
        )
    }
    val upright = scope.own(Mat(height, width, image.type()))
    val map = WarpMap(inverse(homography(corners, width, height)), width, height)
    val rowsAtOnce = minOf(height, maxOf(1, PIXELS_AT_ONCE / width))
    val positions = ShortArray(2 * rowsAtOnce * width)
    val fractions = ShortArray(rowsAtOnce * width)
    for (top in 0 until height step rowsAtOnce) {
        val rows = minOf(rowsAtOnce, height - top)
        for (row in 0 until rows) map.write(top + row, row, positions, fractions)
        matScope { band ->
            val where = band.own(Mat(rows, width, CvType.CV_16SC2))
            val between = band.own(Mat(rows, width, CvType.CV_16UC1))
            where.put(0, 0, if (rows == rowsAtOnce) positions else positions.copyOf(2 * rows * width))
            between.put(0, 0, if (rows == rowsAtOnce) fractions else fractions.copyOf(rows * width))
            val part = band.own(upright.rowRange(top, top + rows))
            Imgproc.remap(image, part, where, between, how.flag(), Core.BORDER_REPLICATE)
        }
    }
    return upright
}

/** Bounds the memory of the maps. */
private const val PIXELS_AT_ONCE = 1 shl 18

/** The source position of each pixel of the upright rectangle, by the inverse homography [m]. */
private class WarpMap(private val m: DoubleArray, private val width: Int, height: Int) {
    /** Sums start anew at each block of columns, as OpenCV's blocks do: that decides last bits. */
    private val blockWidth = minOf(BLOCK_AREA / minOf(BLOCK_HEIGHT, height), width)

    /** Writes the positions of row [y] of the rectangle as row [row] of the maps. */
    fun write(y: Int, row: Int, positions: ShortArray, fractions: ShortArray) {
        var to = row * width
        for (blockX in 0 until width step blockWidth) {
            val x0 = m[0] * blockX + m[1] * y + m[2]
            val y0 = m[3] * blockX + m[4] * y + m[5]
            val w0 = m[6] * blockX + m[7] * y + m[8]
            for (x in 0 until minOf(blockWidth, width - blockX)) {
                val w = w0 + m[6] * x
                val scale = if (w != 0.0) STEPS / w else 0.0
                val sourceX = nearest((x0 + m[0] * x) * scale)
                val sourceY = nearest((y0 + m[3] * x) * scale)
                positions[2 * to] = toShort(sourceX shr STEP_BITS)
                positions[2 * to + 1] = toShort(sourceY shr STEP_BITS)
                fractions[to] = ((sourceY and STEPS - 1) * STEPS + (sourceX and STEPS - 1)).toShort()
                to++
            }
        }
    }

    /** Rounds half to even; values beyond an int become the largest or smallest one. */
    private fun nearest(value: Double): Int = Math.rint(value).toInt()

    private fun toShort(value: Int): Short = maxOf(-32768, minOf(32767, value)).toShort()

    private companion object {
        const val BLOCK_HEIGHT = 16
        const val BLOCK_AREA = 1024
    }
}
