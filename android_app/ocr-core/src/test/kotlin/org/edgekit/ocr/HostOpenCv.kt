package org.edgekit.ocr

import org.bytedeco.javacpp.Loader
import org.bytedeco.opencv.opencv_java

/** Loads the host build of OpenCV, once. */
object HostOpenCv {
    init {
        Loader.load(opencv_java::class.java)
    }

    fun load() = Unit
}
