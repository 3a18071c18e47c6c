package org.edgekit.ocr.opencv

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import org.edgekit.ocr.OcrResult
import org.junit.jupiter.api.Assumptions.assumeTrue

class WholeImagesTest {
    private val set = ImageSet.given()

    @Test
    fun `boxes and texts of complete images equal those of Python's engine nb`() {
        assumeTrue(set != null, "no -Dedgekit.images=DIR was given")
        val set = this.set!!
        val differing = ArrayList<String>()
        var lines = 0
        var seconds = 0.0
        set.pipeline(threads = 2).use { pipeline ->
            for ((number, expected) in set.images.withIndex()) {
                val image = set.image(number)
                val result = pipeline.read(image)
                image.release()
                seconds += result.timings.getValue("total")
                lines += result.lines.size
                difference(expected, result)?.let { differing.add("${expected.name}: $it") }
            }
        }
        println("$lines lines of ${set.images.size} images in %.1f s".format(seconds))
        assertEquals(emptyList(), differing)
        assertTrue(lines > 0)
    }

    private fun difference(expected: ExpectedImage, found: OcrResult): String? {
        val polygons = found.lines.map { it.polygon.toList() }
        val texts = found.lines.map { it.text }
        return when {
            polygons != expected.polygons -> "boxes $polygons, not ${expected.polygons}"
            texts != expected.texts -> "texts $texts, not ${expected.texts}"
            far(found.lines.map { it.score }, expected.scores) -> "scores of texts differ"
            far(found.lines.map { it.boxScore }, expected.boxScores) -> "scores of boxes differ"
            else -> null
        }
    }

    private fun far(found: List<Double>, expected: List<Double>) =
        found.zip(expected).any { (a, b) -> !(Math.abs(a - b) <= 1e-4) }
}
