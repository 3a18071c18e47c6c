package org.edgekit.ocr.lite

import kotlin.test.Test
import kotlin.test.assertFalse
import kotlin.test.assertTrue

class CpuFeaturesTest {
    private val a76 = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes crc32 atomics fphp asimdhp cpuid\n"
    private val a53 = "processor\t: 1\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32\n"

    @Test
    fun `half precision needs every core to have it`() {
        assertTrue(CpuFeatures(a76 + a76).halfPrecision)
        assertFalse(CpuFeatures(a53).halfPrecision)
        assertFalse(CpuFeatures(a76 + a53).halfPrecision)
    }

    @Test
    fun `a device that names no features has none`() {
        assertFalse(CpuFeatures("").halfPrecision)
        assertFalse(CpuFeatures("flags : fpu vme asimdhp\n").halfPrecision)
        assertFalse(CpuFeatures("Features\t: asimdhpx\n").halfPrecision)
    }
}
