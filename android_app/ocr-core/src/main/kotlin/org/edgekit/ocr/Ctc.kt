package org.edgekit.ocr

/** What a line says, and how sure the recogniser is: 0 to 1. */
class CtcText(val text: String, val score: Double)

/**
 * Returns text and score of one line from the recogniser's output [1, steps, classes].
 *
 * Greedy CTC (Graves et al., 2006): the best class of each step, repeats collapsed, blanks dropped. The score is the
 * mean of the kept maxima. Throws [ModelException] when the classes do not fit the dictionary.
 */
fun ctcDecode(output: Tensor, characters: List<String>, rules: CtcRules): CtcText {
    val classes = output.shape.last()
    if (output.shape.size != 3 || output.shape[0] != 1 || classes != characters.size + 1) {
        throw ModelException(
            "the recogniser answered a tensor of ${output.shape.toList()}; the dictionary makes " +
                "${characters.size + 1} classes (with the blank)",
            "labels.txt and the recogniser must come from one bundle",
        )
    }
    val text = StringBuilder()
    val kept = FloatArray(output.shape[1])
    var count = 0
    var before = -1
    for (step in 0 until output.shape[1]) {
        val best = argmax(output.data, step * classes, classes)
        if (best != rules.blank && best != before) {
            text.append(characters[best - 1])
            kept[count++] = output.data[step * classes + best]
        }
        before = best
    }
    if (count == 0) return CtcText("", rules.emptyScore)
    return CtcText(text.toString(), (pairwiseSum(kept, 0, count) / count.toFloat()).toDouble())
}

/** Returns the position, from [start] on, of the first largest of [count] values. */
internal fun argmax(values: FloatArray, start: Int, count: Int): Int {
    var best = 0
    var most = values[start]
    for (i in 1 until count) {
        val value = values[start + i]
        if (value > most) {
            most = value
            best = i
        }
    }
    return best
}

private const val LANES = 8
private const val BLOCK = 128

/** Sums in float32 in numpy's order: eight lanes in blocks of up to 128 values, larger ranges halved. */
internal fun pairwiseSum(values: FloatArray, start: Int, count: Int): Float {
    if (count > BLOCK) {
        val half = count / 2 - count / 2 % LANES
        return pairwiseSum(values, start, half) + pairwiseSum(values, start + half, count - half)
    }
    var total = 0f
    var next = 0
    if (count >= LANES) {
        val lanes = FloatArray(LANES) { values[start + it] }
        next = LANES
        while (next < count - count % LANES) {
            for (lane in 0 until LANES) lanes[lane] += values[start + next + lane]
            next += LANES
        }
        total = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
    }
    while (next < count) total += values[start + next++]
    return total
}
