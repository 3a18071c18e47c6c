package org.edgekit.ocr.app

import android.graphics.ImageFormat
import android.media.Image
import java.nio.ByteBuffer
import java.util.concurrent.atomic.AtomicBoolean
import org.edgekit.ocr.MatScope
import org.edgekit.ocr.matScope
import org.opencv.core.Core
import org.opencv.core.CvType
import org.opencv.core.Mat
import org.opencv.core.Size
import org.opencv.imgproc.Imgproc

/** Lets one frame through at a time: those that come while one is being read are skipped, never queued. */
class FrameGate {
    private val busy = AtomicBoolean()

    /** Returns whether the caller may go on; it must call [leave] when it is done. */
    fun enter(): Boolean = busy.compareAndSet(false, true)

    fun leave() {
        busy.set(false)
    }
}

/** A plane of a camera frame: bytes with [pixelStride] between pixels and [rowStride] between rows. */
class Plane(private val buffer: ByteBuffer, private val rowStride: Int, private val pixelStride: Int) {
    /** Returns [width] x [height] pixels without gaps; the last row may be shorter than its stride. */
    fun packed(width: Int, height: Int): ByteArray {
        val bytes = ByteArray(width * height)
        val row = ByteArray((width - 1) * pixelStride + 1)
        for (y in 0 until height) {
            buffer.position(y * rowStride)
            if (pixelStride == 1) {
                buffer.get(bytes, y * width, width)
            } else {
                buffer.get(row)
                for (x in 0 until width) bytes[y * width + x] = row[x * pixelStride]
            }
        }
        return bytes
    }
}

/** Camera frames as the pipeline takes them. */
object Frames {
    /** Returns [image] (YUV_420_888) as BGR, turned clockwise by [degrees] (0, 90, 180 or 270). */
    fun bgr(image: Image, degrees: Int): Mat {
        require(image.format == ImageFormat.YUV_420_888) { "a frame of format ${image.format}" }
        val planes = image.planes.map { Plane(it.buffer, it.rowStride, it.pixelStride) }
        return bgr(planes, image.width, image.height, degrees)
    }

    /**
     * Returns planes Y, U and V (4:2:0, even sides) as BGR; the values are JFIF's: full range, as cameras give.
     *
     * Chroma is enlarged as one channel, where OpenCV's kernels differ by one level between processors: a phone's frame
     * is not the host's to the last bit.
     */
    fun bgr(planes: List<Plane>, width: Int, height: Int, degrees: Int): Mat = matScope { scope ->
        val luma = mat(scope, planes[0], width, height)
        val blue = enlarged(scope, mat(scope, planes[1], width / 2, height / 2), width, height)
        val red = enlarged(scope, mat(scope, planes[2], width / 2, height / 2), width, height)
        val merged = scope.mat()
        Core.merge(listOf(luma, red, blue), merged)
        val bgr = Mat()
        Imgproc.cvtColor(merged, bgr, Imgproc.COLOR_YCrCb2BGR)
        bgr.turnedBy(degrees)
    }

    private fun mat(scope: MatScope, plane: Plane, width: Int, height: Int): Mat {
        val mat = scope.own(Mat(height, width, CvType.CV_8UC1))
        mat.put(0, 0, plane.packed(width, height))
        return mat
    }

    private fun enlarged(scope: MatScope, chroma: Mat, width: Int, height: Int): Mat {
        val large = scope.mat()
        Imgproc.resize(chroma, large, Size(width.toDouble(), height.toDouble()), 0.0, 0.0, Imgproc.INTER_LINEAR)
        return large
    }
}
