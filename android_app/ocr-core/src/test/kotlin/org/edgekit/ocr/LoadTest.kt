package org.edgekit.ocr

import kotlin.test.Test
import kotlin.test.assertEquals
import org.opencv.core.Core

class LoadTest {
    @Test
    fun `the classes and the native library are of one version`() {
        HostOpenCv.load()
        assertEquals(Core.VERSION, Core.getVersionString())
    }
}
