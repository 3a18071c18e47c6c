package org.edgekit.ocr.app

import android.graphics.Bitmap
import java.io.ByteArrayOutputStream
import kotlin.math.max
import kotlin.math.roundToInt
import org.edgekit.ocr.matScope
import org.opencv.core.Mat
import org.opencv.core.Size
import org.opencv.imgproc.Imgproc

/** Pictures to be shown, which need not have every pixel. */
object Preview {
    /** Longest side in pixels: sharp when zoomed, and 16 MB at most. */
    const val SIDE = 2048
    private const val THUMB_SIDE = 192

    /** Returns [image] (BGR) as a bitmap whose longest side is [side] at most. */
    fun bitmap(image: Mat, side: Int = SIDE): Bitmap = matScope { scope ->
        val scale = minOf(1.0, side.toDouble() / max(image.cols(), image.rows()))
        val width = max((image.cols() * scale).roundToInt(), 1)
        val height = max((image.rows() * scale).roundToInt(), 1)
        val small = scope.mat()
        Imgproc.resize(image, small, Size(width.toDouble(), height.toDouble()), 0.0, 0.0, Imgproc.INTER_AREA)
        Pixels.toBitmap(small)
    }

    /** Keeps [image] in [session] as JPEGs to look at, large and small; throws `IOException` when the storage is full. */
    fun write(image: Mat, session: Session) {
        session.put(session.preview, jpeg(image, SIDE))
        session.put(session.thumb, jpeg(image, THUMB_SIDE))
    }

    private fun jpeg(image: Mat, side: Int): ByteArray {
        val bitmap = bitmap(image, side)
        val bytes = ByteArrayOutputStream()
        bitmap.compress(Bitmap.CompressFormat.JPEG, 92, bytes)
        bitmap.recycle()
        return bytes.toByteArray()
    }

    /** Returns [image] (BGR) as a PNG file that holds every pixel as it is. */
    fun lossless(image: Mat): ByteArray {
        val bitmap = Pixels.toBitmap(image)
        val bytes = ByteArrayOutputStream()
        bitmap.compress(Bitmap.CompressFormat.PNG, 100, bytes)
        bitmap.recycle()
        return bytes.toByteArray()
    }
}
