package org.edgekit.ocr.opencv

import kotlin.test.Test
import kotlin.test.assertTrue
import org.edgekit.ocr.OcrPipeline
import org.junit.jupiter.api.Assumptions.assumeTrue

class MemoryTest {
    private val set = ImageSet.given()

    /** The compiler of the JVM settles by some megabytes; one input tensor an image would be 64 MB. */
    @Test
    fun `native memory does not grow with the number of images`() {
        assumeTrue(set != null && ProcessMemory.known, "no -Dedgekit.images=DIR was given, or no /proc")
        val set = this.set!!
        val small = set.images.indices.filter { set.images[it].width * set.images[it].height < 70_000 }
        set.pipeline(threads = 2).use { pipeline ->
            read(set, pipeline, small, WARM_UP)
            val before = ProcessMemory.nativeMegabytes()
            read(set, pipeline, small, ROUNDS)
            val grown = ProcessMemory.nativeMegabytes() - before
            println("%d images: native memory grew by %.1f MB to %.0f MB".format(ROUNDS, grown, before + grown))
            assertTrue(grown < 40, "grown by $grown MB")
        }
    }

    private fun read(set: ImageSet, pipeline: OcrPipeline, numbers: List<Int>, count: Int) {
        for (round in 0 until count) {
            val image = set.image(numbers[round % numbers.size])
            pipeline.read(image)
            image.release()
        }
    }

    private companion object {
        const val WARM_UP = 32
        const val ROUNDS = 64
    }
}
