package org.edgekit.ocr.app

import android.graphics.Bitmap
import org.opencv.core.CvType
import org.opencv.core.Mat

/**
 * Between Android's bitmaps and OpenCV's images, in strips, as colours: the order of the bytes in a bitmap's memory
 * depends on the machine.
 */
object Pixels {
    private const val STRIP = 64

    /** Returns the colours of [bitmap] as BGR, without its alpha. */
    fun toMat(bitmap: Bitmap): Mat = copied(bitmap, CvType.CV_8UC3)

    /** Returns the alpha of [bitmap], one channel. */
    fun alphaOf(bitmap: Bitmap): Mat = copied(bitmap, CvType.CV_8UC1)

    private fun copied(bitmap: Bitmap, type: Int): Mat {
        val width = bitmap.width
        val channels = CvType.channels(type)
        val image = Mat(bitmap.height, width, type)
        val colours = IntArray(width * STRIP)
        val bytes = ByteArray(width * STRIP * channels)
        for (top in 0 until bitmap.height step STRIP) {
            val rows = minOf(STRIP, bitmap.height - top)
            bitmap.getPixels(colours, 0, width, 0, top, width, rows)
            for (i in 0 until width * rows) {
                if (channels == 1) {
                    bytes[i] = (colours[i] ushr 24).toByte()
                } else {
                    bytes[3 * i] = colours[i].toByte()
                    bytes[3 * i + 1] = (colours[i] shr 8).toByte()
                    bytes[3 * i + 2] = (colours[i] shr 16).toByte()
                }
            }
            image.put(top, 0, if (rows == STRIP) bytes else bytes.copyOf(width * rows * channels))
        }
        return image
    }

    /** Returns [image] (BGR) as an opaque bitmap. */
    fun toBitmap(image: Mat): Bitmap {
        val width = image.cols()
        val bitmap = Bitmap.createBitmap(width, image.rows(), Bitmap.Config.ARGB_8888)
        val colours = IntArray(width * STRIP)
        for (top in 0 until image.rows() step STRIP) {
            val rows = minOf(STRIP, image.rows() - top)
            val bytes = ByteArray(width * rows * 3)
            image.get(top, 0, bytes)
            for (i in 0 until width * rows) {
                val red = byte(bytes[3 * i + 2])
                colours[i] = OPAQUE or (red shl 16) or (byte(bytes[3 * i + 1]) shl 8) or byte(bytes[3 * i])
            }
            bitmap.setPixels(colours, 0, width, 0, top, width, rows)
        }
        return bitmap
    }

    private const val OPAQUE = 0xff shl 24

    private fun byte(value: Byte): Int = value.toInt() and 0xff
}
