package org.edgekit.ocr.app

import org.edgekit.ocr.matScope
import org.opencv.core.CvType
import org.opencv.core.Mat
import org.opencv.core.Point
import org.opencv.core.Scalar
import org.opencv.imgproc.Imgproc

/**
 * Opens the models, and runs each once where they were not open: the first picture then takes no longer than the next.
 *
 * Returns at once. A fault is left to the first picture, which meets it again and says so.
 */
fun Reader.warmUp() = submit { pipeline ->
    try {
        val open = isOpen
        val made = pipeline()
        if (!open) matScope { scope -> made.read(scope.own(sample())) }
    } catch (error: OutOfMemoryError) {
        // As with every fault here.
    } catch (error: LinkageError) {
        // As with every fault here.
    } catch (error: Exception) {
        // As with every fault here.
    }
}

/** A small picture with one line of text, so that the recogniser runs too. */
private fun sample(): Mat {
    val image = Mat(240, 320, CvType.CV_8UC3, Scalar(255.0, 255.0, 255.0))
    Imgproc.putText(image, "edge", Point(60.0, 140.0), Imgproc.FONT_HERSHEY_SIMPLEX, 2.0, Scalar(0.0), 4)
    return image
}
