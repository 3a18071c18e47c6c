package org.edgekit.ocr.opencv

import org.bytedeco.javacpp.Loader
import org.bytedeco.opencv.opencv_java
import org.edgekit.ocr.OpenCvVersion

/** Loads the host build of OpenCV, once, or the library that `-Dedgekit.opencv.library=FILE` names. */
object HostOpenCv {
    init {
        val given = System.getProperty("edgekit.opencv.library")
        if (given == null) Loader.load(opencv_java::class.java) else System.load(given)
        OpenCvVersion.check()
    }

    fun load() = Unit
}
