package org.edgekit.ocr

import org.opencv.core.Core

/** The OpenCV that the pipeline's numbers are proven with. */
object OpenCvVersion {
    const val WANTED = "4.11.0"

    /**
     * Throws [EngineException] unless classes and native library are both [WANTED]: other versions load silently and
     * find other boxes. Call it once after loading the library.
     */
    fun check() {
        val native = try {
            Core.getVersionString()
        } catch (error: UnsatisfiedLinkError) {
            throw EngineException("OpenCV's native library is not loaded", "install the app again", error)
        }
        if (Core.VERSION != WANTED || native != WANTED) {
            throw EngineException(
                "OpenCV's classes are ${Core.VERSION} and its library is $native, not $WANTED",
                "install the app again",
            )
        }
    }
}
