package org.edgekit.ocr

import org.bytedeco.javacpp.Loader
import org.bytedeco.opencv.opencv_java

/** Loads the host build of OpenCV, once, or the library that `-Dedgekit.opencv.library=FILE` names. */
object HostOpenCv {
    init {
        val given = System.getProperty("edgekit.opencv.library")
        if (given == null) Loader.load(opencv_java::class.java) else System.load(given)
    }

    fun load() = Unit
}
