package org.edgekit.ocr

import org.opencv.core.Core
import org.opencv.core.Mat

/** Returns the recogniser's input for one upright BGR line: float32 [1, 3, height, w] (section `recognition`). */
fun recognitionInput(line: Mat, rules: RecognitionRules): Tensor {
    val total = recognitionWidth(line.rows(), line.cols(), rules)
    val normaliser = Normaliser.uniform(rules.divisor, rules.mean, rules.std, rules.channelOrder)
    return linePlanes(line, rules.height, total, rules.interpolation, normaliser, rules.padValue)
}

/** Returns the width of the recogniser's input for a line of the given size. */
fun recognitionWidth(height: Int, width: Int, rules: RecognitionRules): Int {
    val ratio = maxOf(rules.minWidth.toDouble() / rules.height, width.toDouble() / height)
    return minOf((rules.height * ratio).toInt(), maxOf(rules.maxWidth, rules.minWidth))
}

/** Returns the angle classifier's input for one upright BGR line: float32 [1, 3, height, width]. */
fun classifierInput(line: Mat, rules: ClassifierRules): Tensor {
    val normaliser = Normaliser.uniform(rules.divisor, rules.mean, rules.std, ChannelOrder.BGR)
    return linePlanes(line, rules.height, rules.width, Interpolation.LINEAR, normaliser, rules.padValue)
}

/** Returns [line] turned by 180 degrees when the classifier's [answer] [1, classes] says so with enough confidence. */
internal fun turnLine(scope: MatScope, line: Mat, answer: Tensor, rules: ClassifierRules): Mat {
    val classes = answer.shape.last()
    val label = argmax(answer.data, 0, classes)
    if (classes != rules.labels.size) {
        throw ModelException("the angle classifier has $classes classes, the specification ${rules.labels.size}")
    }
    if (rules.labels[label] != 180 || answer.data[label].toDouble() <= rules.thresh) return line
    val turned = scope.mat()
    Core.rotate(line, turned, Core.ROTATE_180)
    return turned
}

/** Returns a line at [height], its width kept in proportion up to [total], padded on the right after normalisation. */
private fun linePlanes(
    line: Mat,
    height: Int,
    total: Int,
    interpolation: Interpolation,
    normaliser: Normaliser,
    padValue: Double,
): Tensor = matScope { scope ->
    val wanted = Math.ceil(height * (line.cols().toDouble() / line.rows()))
    val used = minOf(wanted, total.toDouble()).toInt()
    val resized = resize(scope, line, used, height, interpolation)
    val planes = FloatArray(Normaliser.PLANES * height * total)
    if (padValue != 0.0) planes.fill(padValue.toFloat())
    normaliser.write(resized, planes, total)
    Tensor(planes, intArrayOf(1, Normaliser.PLANES, height, total))
}
