package org.edgekit.ocr

import org.opencv.core.Core
import org.opencv.core.Mat
import org.opencv.core.Scalar

/** Returns the detector's input for a BGR image: float32 [1, 3, h, w] (specification section `detection`). */
fun detectionInput(image: Mat, rules: DetectionRules): Tensor = matScope { scope ->
    val padded = padSmall(scope, image, rules)
    val (height, width) = detectorSize(padded.rows(), padded.cols(), rules)
    val resized = resize(scope, padded, width, height, rules.interpolation)
    val planes = FloatArray(Normaliser.PLANES * height * width)
    Normaliser.of(rules).write(resized, planes, width)
    Tensor(planes, intArrayOf(1, Normaliser.PLANES, height, width))
}

/** Returns the detector's input (height, width) for an image of the given size; ties go to the even multiple. */
fun detectorSize(height: Int, width: Int, rules: DetectionRules): Pair<Int, Int> {
    val ratio = limitRatio(height, width, rules)
    val (limitedHeight, limitedWidth) = bounded((height * ratio).toInt(), (width * ratio).toInt(), rules)
    return Pair(roundedSide(limitedHeight, rules), roundedSide(limitedWidth, rules))
}

/** Returns (height, width) with the longer side brought down to `maxSideLimit`, both truncated to integers. */
private fun bounded(height: Int, width: Int, rules: DetectionRules): Pair<Int, Int> {
    val longer = maxOf(height, width)
    val most = rules.maxSideLimit ?: return Pair(height, width)
    if (longer <= most) return Pair(height, width)
    val ratio = most.toDouble() / longer
    return Pair((height * ratio).toInt(), (width * ratio).toInt())
}

private fun roundedSide(length: Int, rules: DetectionRules): Int {
    val multiples = Math.rint(length.toDouble() / rules.sideMultiple).toInt()
    return maxOf(multiples * rules.sideMultiple, rules.minSide)
}

/** Returns the factor that brings the limited side to its limit, 1 where it needs none. */
private fun limitRatio(height: Int, width: Int, rules: DetectionRules): Double {
    val limit = rules.limitSideLen
    val longer = maxOf(height, width)
    val shorter = minOf(height, width)
    return when {
        rules.limitType == LimitType.MAX && longer > limit -> limit.toDouble() / longer
        rules.limitType == LimitType.MIN && shorter < limit -> limit.toDouble() / shorter
        else -> 1.0
    }
}

/** Pads a tiny image on the right and bottom; returns any other as it is. */
internal fun padSmall(scope: MatScope, image: Mat, rules: DetectionRules): Mat {
    val height = image.rows()
    val width = image.cols()
    if (height + width >= rules.padBelowSum) return image
    val padded = scope.mat()
    val value = rules.padValue.toDouble()
    val bottom = maxOf(rules.padTo - height, 0)
    val right = maxOf(rules.padTo - width, 0)
    Core.copyMakeBorder(image, padded, 0, bottom, 0, right, Core.BORDER_CONSTANT, Scalar(value, value, value))
    return padded
}
