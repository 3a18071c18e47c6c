package org.edgekit.ocr

import java.io.File
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.opencv.core.Mat

class MemoryTest {
    private val status = File("/proc/self/status")
    private val image: Mat
    private val pipeline: OcrPipeline

    init {
        HostOpenCv.load()
        image = plainImage(320, 192)
        val profile = OcrSpec.parse(specJson).profile()
        pipeline = OcrPipeline(profile, FakeEngine("rows", ::rows), FakeEngine("ab", ::ab), listOf("a", "b"))
    }

    /** Three bars of text. */
    private fun rows(shape: IntArray): Tensor {
        val width = shape[3]
        val map = FloatArray(shape[2] * width) { i ->
            if (i / width % 60 in 20..40 && i % width in 30..290) 0.9f else 0f
        }
        return Tensor(map, intArrayOf(1, 1, shape[2], width))
    }

    private fun ab(@Suppress("UNUSED_PARAMETER") shape: IntArray) =
        Tensor(FloatArray(3) { i -> if (i == 1) 1f else 0f }, intArrayOf(1, 1, 3))

    /**
     * The compiler of the JVM takes up to 25 MB (interpreted, 6,000 images add 1.4 MB). Images not released would
     * leave 184 MB, their masks 61 MB, their lines 70 MB.
     */
    @Test
    fun `native memory does not grow over a thousand images`() {
        assumeTrue(status.exists(), "no /proc here")
        read(500)
        val before = nativeMegabytes()
        read(1000)
        val grown = nativeMegabytes() - before
        println("1000 images: native memory grew by %.1f MB".format(grown))
        assertTrue(grown < 50, "grown by $grown MB")
    }

    private fun read(count: Int) {
        for (i in 0 until count) assertEquals(3, pipeline.read(image).lines.size)
    }

    private fun nativeMegabytes(): Double {
        System.gc()
        Thread.sleep(200)
        val kilobytes = status.readLines().first { it.startsWith("VmRSS") }.filter { it.isDigit() }.toLong()
        return kilobytes / 1024.0 - Runtime.getRuntime().totalMemory() / 1048576.0
    }
}
