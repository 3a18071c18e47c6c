package org.edgekit.ocr

import org.opencv.core.CvException
import org.opencv.core.Mat

/** Receives the progress of reading an image, on the thread that reads. */
interface OcrProgress {
    /** [boxes] were found and will be recognised; once for each image. */
    fun found(boxes: Int)

    /** One more box was recognised; its line may still score too low to be in the result. */
    fun recognised()
}

/** Gives the text of each box. A camera keeps that of a line which stayed where it was; others call what is given. */
fun interface LineReader {
    /**
     * Returns the text inside [corners] (x0, y0 .. x3, y3, in pixels of the image): what [recognise] returns, or what
     * is known already. It may throw to end the work.
     */
    fun text(corners: FloatArray, recognise: () -> CtcText): CtcText
}

/**
 * Reads images by one profile of the specification; it owns its engines and closes them.
 *
 * Lines are recognised one at a time: the recogniser attends over its padding, so a batch would change the text. [cls]
 * turns lines where the profile has the angle classifier enabled. One pipeline serves one thread at a time.
 */
class OcrPipeline(
    val profile: OcrProfile,
    private val det: InferenceEngine,
    private val rec: InferenceEngine,
    private val characters: List<String>,
    private val cls: InferenceEngine? = null,
) : AutoCloseable {
    private val dbPost = DbPost(profile.db)
    private val tidier = BoxTidier(profile.boxes)

    /** Returns boxes, texts and scores of [image] (CV_8UC3, BGR); throws [OcrException]. */
    fun read(image: Mat): OcrResult = read(image, Unwatched)

    /** As [read], and reports to [progress] after each step. */
    fun read(image: Mat, progress: OcrProgress): OcrResult =
        read(image, profile.detection, progress) { _, recognise -> recognise() }

    /** As [read] of an image alone, with [longestSide] pixels as the detector's bound, and texts by [lineReader]. */
    fun read(image: Mat, longestSide: Int, lineReader: LineReader): OcrResult =
        read(image, profile.detection.limitedTo(longestSide), Unwatched, lineReader)

    private fun read(image: Mat, detection: DetectionRules, progress: OcrProgress, lineReader: LineReader): OcrResult {
        checkImage(image)
        try {
            return readChecked(image, detection, progress, lineReader)
        } catch (error: CvException) {
            throw ImageException("OpenCV cannot work on the image: ${error.message}", "give another image", error)
        } catch (error: OutOfMemoryError) {
            throw ImageException(
                "too little memory for an image of ${image.cols()} x ${image.rows()} pixels",
                "close other apps or give a smaller image",
                error,
            )
        }
    }

    private fun readChecked(
        image: Mat,
        detection: DetectionRules,
        progress: OcrProgress,
        lineReader: LineReader,
    ): OcrResult {
        val clock = StageClock()
        val boxes = detect(image, detection, clock)
        progress.found(boxes.size)
        for (stage in listOf("rec_pre", "rec", "rec_post")) clock.add(stage, 0.0)
        val lines = ArrayList<OcrLine>(boxes.size)
        for (box in boxes) {
            val read = lineReader.text(box.corners) { recognise(image, box, clock) }
            progress.recognised()
            if (read.score >= profile.dropScore) {
                lines.add(OcrLine(IntArray(8) { box.corners[it].toInt() }, box.score, read.text, read.score))
            }
        }
        return OcrResult(lines, clock.finish(), image.cols(), image.rows())
    }

    private fun detect(image: Mat, detection: DetectionRules, clock: StageClock): List<ScoredQuad> {
        val input = clock.time("det_pre") { detectionInput(image, detection) }
        val output = clock.time("det") { det.run(input.data, input.shape) }
        return clock.time("det_post") {
            val boxes = dbPost.boxes(ProbMap.of(output), image.cols(), image.rows())
            tidier.tidy(boxes, image.cols(), image.rows())
        }
    }

    private fun recognise(image: Mat, box: ScoredQuad, clock: StageClock): CtcText {
        val input = clock.time("rec_pre") { lineInput(image, box) }
        val output = clock.time("rec") { rec.run(input.data, input.shape) }
        return clock.time("rec_post") { ctcDecode(output, characters, profile.ctc) }
    }

    private fun lineInput(image: Mat, box: ScoredQuad): Tensor = matScope { scope ->
        var line = cropLine(scope, image, box.corners, profile.crop)
        if (profile.classifier.enabled && cls != null) {
            val input = classifierInput(line, profile.classifier)
            line = turnLine(scope, line, cls.run(input.data, input.shape), profile.classifier)
        }
        recognitionInput(line, profile.recognition)
    }

    /** Closes the engines. */
    override fun close() {
        det.close()
        rec.close()
        cls?.close()
    }
}

private object Unwatched : OcrProgress {
    override fun found(boxes: Int) = Unit

    override fun recognised() = Unit
}
