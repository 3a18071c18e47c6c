package org.edgekit.ocr.lite

import java.io.File
import kotlin.random.Random
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import org.edgekit.ocr.ModelException
import org.junit.jupiter.api.Assumptions.assumeTrue

class NbHeaderTest {
    @Test
    fun `version and precision come out of the header and the kernels`() {
        assertEquals(NbHeader("v2.14-rc", false), NbHeader.read(nbBytes(), "det.nb"))
        val half = nbBytes(kernels = listOf("conv2d/def/4/1/1", "fc/def/4/5/1"))
        assertTrue(NbHeader.read(half, "det.nb").usesFp16)
    }

    @Test
    fun `a file that a build wrote is read`() {
        val folder = File(System.getProperty("edgekit.assets").orEmpty(), "nb")
        assumeTrue(folder.isDirectory, "no models were given")
        for (name in listOf("det.nb", "rec.nb")) {
            val header = NbHeader.read(File(folder, name).readBytes(), name)
            assertEquals("2.14rc0", normaliseVersion(header.optVersion))
            assertFalse(header.usesFp16)
        }
    }

    @Test
    fun `a damaged file is refused by name`() {
        val complete = nbBytes()
        val damaged = mapOf(
            "empty" to ByteArray(0),
            "cut in the header" to complete.copyOf(20),
            "cut in the topology" to complete.copyOf(60),
            "another format" to complete.clone().also { it[0] = 1 },
            "no version" to nbBytes(version = ""),
            "binary version" to complete.clone().also { it[2] = 7 },
            "negative topology" to complete.clone().also { it[25] = -1 },
            "topology beyond the file" to complete.clone().also { it[22] = 1 },
            "an ONNX file" to byteArrayOf(8, 7, 18, 4) + ByteArray(100),
        )
        for ((what, bytes) in damaged) {
            val error = assertFailsWith<ModelException>(what) { NbHeader.read(bytes, "det.nb") }
            assertTrue("det.nb" in error.message.orEmpty(), what)
        }
    }

    @Test
    fun `no bytes make it fail in another way`() {
        val random = Random(6)
        val complete = nbBytes()
        repeat(2000) {
            val bytes = complete.copyOf(random.nextInt(complete.size))
            repeat(3) { if (bytes.isNotEmpty()) bytes[random.nextInt(bytes.size)] = random.nextInt().toByte() }
            try {
                NbHeader.read(bytes, "det.nb")
            } catch (error: ModelException) {
                assertTrue(error.message.orEmpty().startsWith("det.nb"))
            }
        }
    }

    @Test
    fun `both spellings of a version agree`() {
        assertEquals("2.14rc0", normaliseVersion("v2.14-rc"))
        assertEquals("2.14rc0", normaliseVersion("2.14rc0"))
        assertEquals("2.13rc1", normaliseVersion("v2.13-rc1"))
        assertEquals("2.12", normaliseVersion("v2.12"))
        assertEquals("develop", normaliseVersion("develop"))
    }
}
