package org.edgekit.ocr

import org.opencv.core.Mat

/** Reads images by one profile of the specification; it owns its engines and closes them. */
class OcrPipeline(
    val profile: OcrProfile,
    private val det: InferenceEngine,
    private val rec: InferenceEngine,
    private val characters: List<String>,
    private val cls: InferenceEngine? = null,
) : AutoCloseable {
    /** Returns boxes, texts and scores of [image] (CV_8UC3, BGR); throws [OcrException]. */
    fun read(image: Mat): OcrResult = TODO("stages follow")

    /** Closes the engines. */
    override fun close() {
        det.close()
        rec.close()
        cls?.close()
    }
}
