package org.edgekit.ocr.app

import kotlin.math.abs
import org.edgekit.ocr.BundleException
import org.edgekit.ocr.OcrResult
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/** What the Python pipeline read from one image: a box (x0, y0 .. x3, y3), a text and a score for each line. */
class Expected(val name: String, val boxes: List<IntArray>, val texts: List<String>, val scores: List<Double>) {
    companion object {
        /** Parses `selftest/expected.json`; throws [BundleException] when it is damaged. */
        fun parse(json: String): List<Expected> = try {
            val images = JSONObject(json).getJSONArray("images")
            (0 until images.length()).map { one(images.getJSONObject(it)) }
        } catch (error: JSONException) {
            throw BundleException("expected.json is damaged: ${error.message}", "install the app again", error)
        }

        private fun one(json: JSONObject): Expected {
            val lines = json.getJSONArray("lines")
            val rows = (0 until lines.length()).map { lines.getJSONObject(it) }
            return Expected(
                json.getString("file"),
                rows.map { polygon(it.getJSONArray("polygon")) },
                rows.map { it.getString("text") },
                rows.map { it.getDouble("score") },
            )
        }

        private fun polygon(sides: JSONArray) = IntArray(8) { sides.getInt(it) }
    }
}

/** How a result compares, line by line in reading order. */
class ImageComparison(expected: Expected, found: OcrResult) {
    val lines: Int = maxOf(expected.texts.size, found.lines.size)
    private val pairs = expected.texts.indices.filter { it < found.lines.size }

    /** Lines with the same text. */
    val equalTexts: Int = pairs.count { expected.texts[it] == found.lines[it].text }

    /** The largest distance of a corner along an axis, in pixels. */
    val shift: Int = pairs.maxOfOrNull { i ->
        (0 until 8).maxOf { abs(expected.boxes[i][it] - found.lines[i].polygon[it]) }
    } ?: 0

    val scoreDifference: Double = pairs.maxOfOrNull { abs(expected.scores[it] - found.lines[it].score) } ?: 0.0

    /** Whether every line has the same text at the same place; the last digits of a score depend on the engine. */
    val passed: Boolean = equalTexts == lines && shift <= SHIFT && scoreDifference <= SCORE

    private companion object {
        const val SHIFT = 1
        const val SCORE = 0.01
    }
}
