package org.edgekit.ocr.opencv

import java.io.File
import org.edgekit.ocr.OcrPipeline
import org.edgekit.ocr.OcrSpec
import org.edgekit.ocr.parseLabels
import org.json.JSONArray
import org.json.JSONObject
import org.opencv.core.CvType
import org.opencv.core.Mat

/** What Python reads on one image. */
class ExpectedImage(val name: String, val width: Int, val height: Int, private val row: JSONObject) {
    val polygons: List<List<Int>> = row.getJSONArray("dt_polys").items<JSONArray>().map { polygon ->
        polygon.items<JSONArray>().flatMap { listOf(it.getInt(0), it.getInt(1)) }
    }
    val texts: List<String> = row.getJSONArray("rec_texts").items()
    val boxScores: List<Double> get() = numbers("dt_scores")
    val scores: List<Double> get() = numbers("rec_scores")

    private fun numbers(key: String) = row.getJSONArray(key).items<Number>().map { it.toDouble() }
}

@Suppress("UNCHECKED_CAST")
private fun <T> JSONArray.items(): List<T> = List(length()) { get(it) as T }

/** A folder that scripts/labs/golden/images.py wrote: models as ONNX, raw images, and what Python reads on them. */
class ImageSet(private val folder: File) {
    private val expected = JSONObject(File(folder, "expected.json").readText())
    val images: List<ExpectedImage> = expected.getJSONArray("images").items<JSONObject>().map { row ->
        ExpectedImage(row.getString("name"), row.getInt("width"), row.getInt("height"), row)
    }

    fun bytes(name: String): ByteArray = File(folder, name).readBytes()

    fun pipeline(threads: Int): OcrPipeline {
        HostOpenCv.load()
        val profile = OcrSpec.parse(bytes("ocr_spec.json").decodeToString()).profile(expected.getString("profile"))
        val characters = parseLabels(bytes("labels.txt").decodeToString(), profile.ctc)
        val det = OpenCvEngine(bytes("det.onnx"), "opencv", threads)
        val rec = OpenCvEngine(bytes("rec.onnx"), "opencv", threads)
        return OcrPipeline(profile, det, rec, characters)
    }

    /** Returns image [number]; the caller releases it. */
    fun image(number: Int): Mat {
        val mat = Mat(images[number].height, images[number].width, CvType.CV_8UC3)
        mat.put(0, 0, bytes("$number.bin"))
        return mat
    }

    companion object {
        /** Returns the set that `-Dedgekit.images=DIR` names, or null. */
        fun given(): ImageSet? {
            val folder = System.getProperty("edgekit.images").orEmpty()
            return if (folder.isEmpty()) null else ImageSet(File(folder))
        }
    }
}
