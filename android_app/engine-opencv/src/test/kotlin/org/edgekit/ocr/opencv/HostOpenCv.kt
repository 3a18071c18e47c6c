package org.edgekit.ocr.opencv

import org.bytedeco.javacpp.Loader
import org.bytedeco.opencv.opencv_java
import org.edgekit.ocr.OpenCvVersion

/** Loads the host build of OpenCV, once. */
object HostOpenCv {
    init {
        Loader.load(opencv_java::class.java)
        OpenCvVersion.check()
    }

    fun load() = Unit
}
