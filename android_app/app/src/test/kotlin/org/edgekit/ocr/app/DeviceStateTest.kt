package org.edgekit.ocr.app

import java.io.File
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNull
import kotlin.test.assertTrue
import org.junit.Rule
import org.junit.rules.TemporaryFolder

class DeviceStateTest {
    @get:Rule
    val folder = TemporaryFolder()

    @Test
    fun `the worse of two states is the worse in each respect`() {
        val both = DeviceState(1, true).worse(DeviceState(3, false))
        assertEquals(3, both.thermal)
        assertTrue(both.hidden)
        assertEquals(2, DeviceState(null, false).worse(DeviceState(2, false)).thermal)
        assertNull(DeviceState(null, false).worse(DeviceState(null, false)).thermal)
    }

    @Test
    fun `clocks are read core by core as far as the kernel shows them`() {
        for ((core, kilohertz) in listOf("1785600\n", "1785600\n", "2841600\n").withIndex()) {
            val file = File(folder.root, "cpu$core/cpufreq/cpuinfo_max_freq")
            file.parentFile?.mkdirs()
            file.writeText(kilohertz)
        }
        assertEquals(listOf(1785, 1785, 2841), CoreClocks.read(folder.root))
        assertEquals(emptyList(), CoreClocks.read(File(folder.root, "cpu0")))
    }
}
