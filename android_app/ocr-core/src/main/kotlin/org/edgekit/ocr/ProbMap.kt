package org.edgekit.ocr

import org.opencv.core.CvType
import org.opencv.core.Mat

/** The detector's answer: the probability of text at each pixel of its input, row by row. */
class ProbMap(val data: FloatArray, val width: Int, val height: Int) {
    /** Returns the map as a CV_32FC1 Mat. */
    internal fun toMat(scope: MatScope): Mat {
        val mat = scope.own(Mat(height, width, CvType.CV_32FC1))
        mat.put(0, 0, data)
        return mat
    }

    companion object {
        /** Returns the map in a detector's output [1, 1, h, w]; throws [ModelException] for another shape. */
        fun of(output: Tensor): ProbMap {
            val shape = output.shape
            if (shape.size != 4 || shape[0] != 1 || shape[1] != 1 || output.data.isEmpty()) {
                throw ModelException(
                    "the detector answered a tensor of ${shape.toList()}, not [1, 1, h, w]",
                    "the bundle holds another model than a DB text detector",
                )
            }
            return ProbMap(output.data, shape[3], shape[2])
        }
    }
}
