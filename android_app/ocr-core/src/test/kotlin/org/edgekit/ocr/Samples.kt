package org.edgekit.ocr

import java.io.File
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import org.json.JSONObject
import org.opencv.core.CvType
import org.opencv.core.Mat
import org.opencv.core.Scalar

/** The specification of the committed golden vectors, which holds the real profiles. */
val specJson: String = File("../golden/ocr_spec.json").readText()

/** Returns [specJson] with [change] made to it. */
fun changedSpec(change: (JSONObject) -> Unit): String = JSONObject(specJson).also(change).toString()

fun JSONObject.section(profile: String, name: String): JSONObject =
    getJSONObject("profiles").getJSONObject(profile).getJSONObject(name)

/** Returns a BGR image of one colour; the caller releases it. */
fun plainImage(width: Int, height: Int, level: Double = 200.0) =
    Mat(height, width, CvType.CV_8UC3, Scalar(level, level, level))

/** An engine whose answer is a function of the input's shape. */
class FakeEngine(override val name: String, private val answer: (IntArray) -> Tensor) : InferenceEngine {
    var closed = false
        private set

    override fun run(input: FloatArray, shape: IntArray): Tensor {
        checkInput(name, input, shape)
        return checkAnswer(name, answer(shape))
    }

    override fun close() {
        closed = true
    }
}

/** Fails unless [block] throws a [T] whose message holds [words]. */
inline fun <reified T : OcrException> assertReports(words: String, block: () -> Unit) {
    val error = assertFailsWith<T> { block() }
    assertTrue(words in error.message.orEmpty(), "'$words' is not in '${error.message}'")
}
