package org.edgekit.ocr.lite

import java.io.File
import java.io.IOException

/** What the processor says of itself; [words] is the text of `/proc/cpuinfo`. */
class CpuFeatures(private val words: String) {
    /**
     * Whether every core computes in half precision (`asimdhp`, ARMv8.2).
     *
     * Every core: the system may move a thread to any of them. False where the kernel names no features.
     */
    val halfPrecision: Boolean
        get() {
            val cores = words.lineSequence().filter { it.startsWith("Features") }.map { it.substringAfter(':') }.toList()
            return cores.isNotEmpty() && cores.all { "asimdhp" in it.trim().split(' ') }
        }

    companion object {
        /** Reads `/proc/cpuinfo`; a device that hides it counts as one without features. */
        fun ofThisDevice(): CpuFeatures = CpuFeatures(
            try {
                File("/proc/cpuinfo").readText()
            } catch (error: IOException) {
                ""
            },
        )
    }
}
