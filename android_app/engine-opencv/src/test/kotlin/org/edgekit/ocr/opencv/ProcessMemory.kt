package org.edgekit.ocr.opencv

import java.io.File

/** The memory of this process that lies outside the Java heap. */
object ProcessMemory {
    private val status = File("/proc/self/status")

    val known: Boolean get() = status.exists()

    /**
     * Returns the resident megabytes less the heap, after a collection. The tests' JVM touches its entire heap at the
     * start, so that the heap is a constant.
     */
    fun nativeMegabytes(): Double {
        System.gc()
        Thread.sleep(200)
        val line = status.readLines().first { it.startsWith("VmRSS") }
        val kilobytes = line.filter { it.isDigit() }.toLong()
        return kilobytes / 1024.0 - Runtime.getRuntime().totalMemory() / 1048576.0
    }
}
