package org.edgekit.ocr.app

import org.edgekit.ocr.BundleException
import org.edgekit.ocr.OcrLine
import org.edgekit.ocr.OcrResult
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/**
 * What was read from a picture and how: [sourceWidth] and [sourceHeight] are the picture's own pixels, more than the
 * result's when it had to be reduced. [degrees] is how far clockwise the user had turned it.
 */
data class Reading(
    val result: OcrResult,
    val engine: String,
    val sourceWidth: Int,
    val sourceHeight: Int,
    val degrees: Int = 0,
) {
    val reduced: Boolean get() = sourceWidth != result.width || sourceHeight != result.height

    /** Returns the reading as JSON that [parse] takes. */
    fun toJson(): String {
        val about = JSONObject()
        about.put("engine", engine)
        about.put("source_width", sourceWidth)
        about.put("source_height", sourceHeight)
        about.put("degrees", degrees)
        return "{\"reading\": $about, \"result\": ${result.toJson()}}"
    }

    companion object {
        /** Reads what [toJson] wrote; throws [BundleException] when it is damaged. */
        fun parse(json: String): Reading = try {
            val root = JSONObject(json)
            val about = root.getJSONObject("reading")
            Reading(
                result(root.getJSONObject("result")),
                about.getString("engine"),
                about.getInt("source_width"),
                about.getInt("source_height"),
                about.optInt("degrees"),
            )
        } catch (error: JSONException) {
            throw BundleException("a stored result is damaged: ${error.message}", "read the picture again", error)
        }

        private fun result(json: JSONObject): OcrResult {
            val polygons = json.getJSONArray("dt_polys")
            val lines = (0 until polygons.length()).map { i ->
                OcrLine(
                    polygon(polygons.getJSONArray(i)),
                    json.getJSONArray("dt_scores").getDouble(i),
                    json.getJSONArray("rec_texts").getString(i),
                    json.getJSONArray("rec_scores").getDouble(i),
                )
            }
            val seconds = json.getJSONObject("timings")
            val timings = LinkedHashMap<String, Double>()
            for (stage in STAGES) if (seconds.has(stage)) timings[stage] = seconds.getDouble(stage)
            return OcrResult(lines, timings, json.getInt("width"), json.getInt("height"))
        }

        private fun polygon(points: JSONArray) = IntArray(8) { points.getJSONArray(it / 2).getInt(it % 2) }
    }
}

/** The pipeline's stages in their order, as it names them in its timings. */
val STAGES = listOf("det_pre", "det", "det_post", "rec_pre", "rec", "rec_post", "total")
