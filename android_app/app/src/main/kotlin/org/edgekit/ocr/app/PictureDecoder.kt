package org.edgekit.ocr.app

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.media.ExifInterface
import java.io.File
import java.io.IOException
import org.edgekit.ocr.Alpha
import org.edgekit.ocr.ImageException
import org.edgekit.ocr.Transparency
import org.opencv.core.Core
import org.opencv.core.CvException
import org.opencv.core.Mat
import org.opencv.imgcodecs.Imgcodecs

/** A decoded picture, BGR; [sourceWidth] and [sourceHeight] are what it would have without a memory budget. */
class Picture(val image: Mat, val sourceWidth: Int, val sourceHeight: Int) {
    /** Returns this picture turned clockwise by [degrees] (0, 90, 180 or 270); its own image is taken over. */
    fun turnedBy(degrees: Int): Picture {
        val swapped = degrees % 180 != 0
        val (width, height) = if (swapped) sourceHeight to sourceWidth else sourceWidth to sourceHeight
        return Picture(image.turnedBy(degrees), width, height)
    }
}

/**
 * Decodes a picture as the Python pipeline does.
 *
 * JPEG, PNG, WebP and BMP go through OpenCV's own decoder, which is the one that Python uses: same pixels, same
 * handling of EXIF orientation and 16 bits. What OpenCV does not read (GIF, HEIF, AVIF) goes through Android's.
 * A picture within [budget] pixels keeps its size; a larger one is halved until it fits. [alpha] is the profile's rule.
 */
class PictureDecoder(private val budget: Long, private val alpha: Alpha) {
    /** Returns the picture in [file]; throws [ImageException] or [PictureTooLarge]. */
    fun decode(file: File): Picture {
        val bounds = boundsOf(file)
        val pixels = bounds.outWidth.toLong() * bounds.outHeight
        val halvings = (0..MAX_HALVINGS).firstOrNull { pixels shr (2 * it) <= budget }
            ?: throw PictureTooLarge("${bounds.outWidth} x ${bounds.outHeight} pixels")
        val image = try {
            decodeReduced(file, bounds, halvings)
        } catch (error: CvException) {
            throw ImageException("OpenCV refuses the picture: ${error.message}", HINT, error)
        }
        return picture(image, bounds, halvings)
    }

    private fun decodeReduced(file: File, bounds: BitmapFactory.Options, halvings: Int): Mat {
        val mimeType = bounds.outMimeType
        if (mimeType in OPENCV_READS) {
            val decoded = if (halvings == 0) Imgcodecs.imread(file.path, Imgcodecs.IMREAD_COLOR) else Mat()
            // OpenCV applies the orientation that EXIF states, except that of WebP.
            if (!decoded.empty()) {
                val upright = if (mimeType == WEBP) oriented(decoded, file, mimeType) else decoded
                return if (mimeType == JPEG) upright else laid(upright, file, mimeType)
            }
            if (halvings > 0 && mimeType == JPEG) {
                val reduced = Imgcodecs.imread(file.path, REDUCED[halvings - 1])
                if (!reduced.empty()) return reduced
            }
        }
        val bitmap = bitmapOf(file, halvings)
        try {
            val image = Pixels.toMat(bitmap)
            if (alpha == Alpha.ON_WHITE && bitmap.hasAlpha()) lay(image, Pixels.alphaOf(bitmap))
            return oriented(image, file, mimeType)
        } finally {
            bitmap.recycle()
        }
    }

    /** Lays what OpenCV decoded of [file] on white where the profile says so; Android's decoder has the alpha. */
    private fun laid(image: Mat, file: File, mimeType: String?): Mat {
        if (alpha != Alpha.ON_WHITE) return image
        val bitmap = bitmapOf(file, 0)
        try {
            if (!bitmap.hasAlpha()) return image
            val plane = oriented(Pixels.alphaOf(bitmap), file, mimeType)
            if (plane.size() == image.size()) lay(image, plane) else plane.release()
            return image
        } finally {
            bitmap.recycle()
        }
    }

    private fun lay(image: Mat, plane: Mat) = try {
        Transparency.layOnWhite(image, plane)
    } finally {
        plane.release()
    }

    private fun picture(image: Mat, bounds: BitmapFactory.Options, halvings: Int): Picture {
        if (halvings == 0) return Picture(image, image.cols(), image.rows())
        // EXIF may have swapped the sides, which the bounds do not know.
        val turned = (image.cols() > image.rows()) != (bounds.outWidth > bounds.outHeight)
        val (width, height) = bounds.outWidth to bounds.outHeight
        return if (turned) Picture(image, height, width) else Picture(image, width, height)
    }

    private fun boundsOf(file: File): BitmapFactory.Options {
        val bounds = BitmapFactory.Options()
        bounds.inJustDecodeBounds = true
        BitmapFactory.decodeFile(file.path, bounds)
        if (bounds.outWidth <= 0 || bounds.outHeight <= 0) {
            throw ImageException("not a picture that this device can decode", HINT)
        }
        return bounds
    }

    companion object {
        private const val JPEG = "image/jpeg"
        private const val WEBP = "image/webp"
        private const val HINT = "give a JPEG, PNG, WebP, BMP, GIF or HEIF picture"
        private val OPENCV_READS = setOf(JPEG, "image/png", WEBP, "image/bmp", "image/x-ms-bmp")
        private val REDUCED = listOf(
            Imgcodecs.IMREAD_REDUCED_COLOR_2,
            Imgcodecs.IMREAD_REDUCED_COLOR_4,
            Imgcodecs.IMREAD_REDUCED_COLOR_8,
        )
        private val MAX_HALVINGS = REDUCED.size

        /** Decodes the colours of [file] by Android, each side halved [halvings] times, EXIF orientation not applied. */
        fun androidDecode(file: File, halvings: Int): Mat {
            val bitmap = bitmapOf(file, halvings)
            try {
                return Pixels.toMat(bitmap)
            } finally {
                bitmap.recycle()
            }
        }

        private fun bitmapOf(file: File, halvings: Int): Bitmap {
            val options = BitmapFactory.Options()
            options.inPreferredConfig = Bitmap.Config.ARGB_8888
            // The colour beneath transparent pixels is needed, as OpenCV gives it.
            options.inPremultiplied = false
            options.inScaled = false
            options.inSampleSize = 1 shl halvings
            return BitmapFactory.decodeFile(file.path, options)
                ?: throw ImageException("Android cannot decode the picture", HINT)
        }

        /** Turns [image] by the EXIF orientation of [file] where Android's decoder has not (it has for HEIF). */
        private fun oriented(image: Mat, file: File, mimeType: String?): Mat {
            if (mimeType != JPEG && mimeType != "image/png" && mimeType != WEBP) return image
            val tag = try {
                ExifInterface(file.path).getAttributeInt(ExifInterface.TAG_ORIENTATION, 1)
            } catch (error: IOException) {
                1
            }
            return turn(image, tag)
        }

        /** Applies EXIF orientation [tag] (1 to 8; others change nothing) to [image] in place. */
        fun turn(image: Mat, tag: Int): Mat {
            if (tag in 5..8) Core.transpose(image, image)
            when (tag) {
                2, 6 -> Core.flip(image, image, 1)
                3, 7 -> Core.flip(image, image, -1)
                4, 8 -> Core.flip(image, image, 0)
            }
            return image
        }
    }
}
