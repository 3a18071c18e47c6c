package org.edgekit.ocr.app

import org.bytedeco.javacpp.Loader
import org.bytedeco.opencv.opencv_java

/** The app on the host: OpenCV's library is the host build of the same version. */
class HostApplication : OcrApplication() {
    override fun loadOpenCv() {
        Loader.load(opencv_java::class.java)
    }
}

/** The app on a processor that it has no library for. */
class NoLibraryApplication : OcrApplication() {
    override fun loadOpenCv() = throw UnsatisfiedLinkError("no opencv_java4 for this processor")
}
