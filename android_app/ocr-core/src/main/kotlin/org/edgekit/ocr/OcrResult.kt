package org.edgekit.ocr

import java.util.Locale
import org.json.JSONObject

/** One read line: [polygon] holds x0, y0 .. x3, y3 in pixels of the image. */
data class OcrLine(val polygon: IntArray, val boxScore: Double, val text: String, val score: Double) {
    override fun equals(other: Any?): Boolean = other is OcrLine && polygon.contentEquals(other.polygon) &&
        boxScore == other.boxScore && text == other.text && score == other.score

    override fun hashCode(): Int = 31 * polygon.contentHashCode() + text.hashCode()
}

/**
 * What the pipeline answers for one image, in reading order.
 *
 * [timings] are seconds of each stage: det_pre, det, det_post, rec_pre, rec, rec_post, total. [width] and [height] are
 * the image's, in pixels.
 */
data class OcrResult(
    val lines: List<OcrLine>,
    val timings: Map<String, Double>,
    val width: Int,
    val height: Int,
) {
    /** Returns the result as JSON with the keys of the Python pipeline, and the image's size. */
    fun toJson(): String {
        val fields = listOf(
            "width" to width.toString(),
            "height" to height.toString(),
            "dt_polys" to jsonList(lines) { line -> jsonList(line.polygon.toList().chunked(2)) { it.toString() } },
            "dt_scores" to jsonList(lines) { it.boxScore.toString() },
            "rec_texts" to jsonList(lines) { JSONObject.quote(it.text) },
            "rec_scores" to jsonList(lines) { it.score.toString() },
            "timings" to timings.entries.joinToString(", ", "{", "}") { (stage, seconds) ->
                "\"$stage\": " + String.format(Locale.ROOT, "%.6f", seconds)
            },
        )
        return fields.joinToString(", ", "{", "}") { (key, value) -> "\"$key\": $value" }
    }

    /** Returns the texts, one a line. */
    fun toText(): String = lines.joinToString("\n") { it.text }

    private fun <T> jsonList(items: List<T>, item: (T) -> String) = items.joinToString(", ", "[", "]") { item(it) }
}
