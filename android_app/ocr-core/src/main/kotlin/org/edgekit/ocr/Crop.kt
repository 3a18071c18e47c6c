package org.edgekit.ocr

import org.opencv.core.Core
import org.opencv.core.Mat
import org.opencv.core.Scalar

/**
 * Returns the upright BGR image of the line inside [quad] (specification section `crop`).
 *
 * Width and height are the longer of the opposite sides, truncated to integers; a side of zero is left to
 * `collapsedLine`. A line from `rotateRatio` times as high as wide is turned counter-clockwise.
 */
internal fun cropLine(scope: MatScope, image: Mat, quad: FloatArray, rules: CropRules): Mat {
    val corners = when (rules.shape) {
        CropShape.QUAD -> quad
        CropShape.MIN_AREA_RECT -> minAreaQuad(IntArray(8) { quad[it].toInt() }).corners
    }
    val across = maxOf(cornerDistance(corners, 0, 1), cornerDistance(corners, 2, 3)).toInt()
    val down = maxOf(cornerDistance(corners, 0, 3), cornerDistance(corners, 1, 2)).toInt()
    val line = if (minOf(across, down) == 0 && rules.collapsedLine == CollapsedLine.FIRST_PIXEL) {
        scope.own(Mat(image.size(), image.type(), Scalar(image.get(0, 0))))
    } else {
        warp(scope, image, corners, maxOf(across, 1), maxOf(down, 1), rules.interpolation)
    }
    if (line.rows().toDouble() / line.cols() < rules.rotateRatio) return line
    val turned = scope.mat()
    Core.rotate(line, turned, Core.ROTATE_90_COUNTERCLOCKWISE)
    return turned
}
