package org.edgekit.ocr

import org.opencv.core.CvType
import org.opencv.core.Mat
import org.opencv.core.Size
import org.opencv.imgproc.Imgproc

/** Throws [ImageException] unless [image] is a BGR image of 8 bits with at least one pixel. */
internal fun checkImage(image: Mat) {
    if (image.empty()) throw ImageException("the image has no pixels", "give another image")
    if (image.dims() != 2 || image.type() != CvType.CV_8UC3) {
        throw ImageException(
            "the image is of type ${CvType.typeToString(image.type())}, not CV_8UC3",
            "convert it to 8-bit BGR first",
        )
    }
}

internal fun Interpolation.flag(): Int = when (this) {
    Interpolation.LINEAR -> Imgproc.INTER_LINEAR
    Interpolation.CUBIC -> Imgproc.INTER_CUBIC
}

/**
 * Returns [image] resized to [width] x [height] pixels on uint8.
 *
 * With three channels OpenCV's resize is integer arithmetic, equal on every processor. With one channel it is not:
 * OpenCV's ARM builds then take KleidiCV's kernels, whose values differ by one level in places.
 */
internal fun resize(scope: MatScope, image: Mat, width: Int, height: Int, interpolation: Interpolation): Mat {
    val resized = scope.mat()
    Imgproc.resize(image, resized, Size(width.toDouble(), height.toDouble()), 0.0, 0.0, interpolation.flag())
    return resized
}

/** Returns the bytes of [image] row by row, channels interleaved. */
internal fun pixels(image: Mat): ByteArray {
    val bytes = ByteArray(image.rows() * image.cols() * image.channels())
    image.get(0, 0, bytes)
    return bytes
}
