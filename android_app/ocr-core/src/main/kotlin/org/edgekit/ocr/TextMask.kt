package org.edgekit.ocr

import org.opencv.core.CvType
import org.opencv.core.Mat
import org.opencv.core.Scalar
import org.opencv.imgproc.Imgproc

/** Returns the mask of 0 and 1: probabilities above the threshold, compared as floats; grown by 2x2 if so ruled. */
internal fun textMask(scope: MatScope, map: ProbMap, rules: DbRules): Mat {
    val thresh = rules.thresh.toFloat()
    val bytes = ByteArray(map.data.size) { i -> if (map.data[i] > thresh) 1 else 0 }
    val mask = scope.own(Mat(map.height, map.width, CvType.CV_8UC1))
    mask.put(0, 0, bytes)
    if (!rules.useDilation) return mask
    val grown = scope.mat()
    Imgproc.dilate(mask, grown, scope.own(Mat(2, 2, CvType.CV_8UC1, Scalar(1.0))))
    return grown
}
