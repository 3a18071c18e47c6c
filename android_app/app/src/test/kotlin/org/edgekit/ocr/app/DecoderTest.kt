package org.edgekit.ocr.app

import android.graphics.Bitmap
import android.graphics.Color
import android.media.ExifInterface
import java.io.ByteArrayOutputStream
import java.io.File
import java.security.MessageDigest
import kotlin.math.abs
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import org.edgekit.ocr.Alpha
import org.edgekit.ocr.OcrPipeline
import org.edgekit.ocr.Transparency
import org.json.JSONObject
import org.junit.Assume.assumeTrue
import org.junit.Before
import org.junit.runner.RunWith
import org.opencv.core.CvType
import org.opencv.core.Mat
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment

@RunWith(RobolectricTestRunner::class)
class DecoderTest {
    private val app get() = RuntimeEnvironment.getApplication() as OcrApplication
    private val pictures = System.getProperty("edgekit.pictures").orEmpty().takeIf { it.isNotEmpty() }?.let { File(it) }

    @Before
    fun openCv() = app.loadOpenCv()

    private fun bytes(image: Mat) = ByteArray(image.rows() * image.cols() * 3).also { image.get(0, 0, it) }

    private fun sha256(data: ByteArray) =
        MessageDigest.getInstance("SHA-256").digest(data).joinToString("") { "%02x".format(it) }

    /** Also measures, in pixels and texts, Android's own decoder, which the app uses where OpenCV has none. */
    @Test
    fun `every picture is decoded to the pixels that Python decodes`() {
        assumeTrue("no -Dedgekit.pictures=DIR was given", pictures != null)
        needsBundle()
        val pipeline = app.pipelines.open(app.settings.load(app.bundle), Silent)
        val sums = JSONObject(File(pictures, "sums.json").readText())
        val report = StringBuilder()
        for (name in sums.keys().asSequence().sorted()) {
            val file = File(pictures, name)
            val picture = PictureDecoder(Long.MAX_VALUE, Alpha.ON_WHITE).decode(file)
            val ours = bytes(picture.image)
            assertEquals(sums.getString(name), sha256(ours), name)
            assertEquals(picture.image.cols() to picture.image.rows(), picture.sourceWidth to picture.sourceHeight)
            report.append("$name: ${androidDifference(file, picture.image, pipeline)}\n")
        }
        File(System.getProperty("edgekit.screenshots")).mkdirs()
        File(System.getProperty("edgekit.screenshots"), "decoder.txt").writeText(report.toString())
        print(report)
    }

    private fun androidDifference(file: File, image: Mat, pipeline: OcrPipeline): String {
        val tag = ExifInterface(file.path).getAttributeInt(ExifInterface.TAG_ORIENTATION, 1)
        val other = PictureDecoder.turn(PictureDecoder.androidDecode(file, 0), tag)
        val (ours, theirs) = bytes(image) to bytes(other)
        assertEquals(ours.size, theirs.size, file.name)
        val apart = ours.indices.map { abs((ours[it].toInt() and 255) - (theirs[it].toInt() and 255)) }
        if (apart.max() == 0) return "equal"
        val (read, otherwise) = pipeline.read(image).lines to pipeline.read(other).lines
        val texts = read.indices.count { otherwise.getOrNull(it)?.text == read[it].text }
        return "${apart.count { it > 0 }} of ${apart.size} values differ, by ${apart.max()} at most; " +
            "$texts of ${read.size} texts equal, ${otherwise.size} found"
    }

    @Test
    fun `a picture beyond the budget is halved until it fits and says so`() {
        for (format in listOf(Bitmap.CompressFormat.JPEG, Bitmap.CompressFormat.PNG)) {
            val file = picture(400, 300, format)
            assertEquals(400 to 300, PictureDecoder(120_000, Alpha.ON_WHITE).decode(file).let { it.image.cols() to it.image.rows() })
            val reduced = PictureDecoder(119_999, Alpha.ON_WHITE).decode(file)
            assertEquals(200 to 150, reduced.image.cols() to reduced.image.rows())
            assertEquals(400 to 300, reduced.sourceWidth to reduced.sourceHeight)
            assertFailsWith<PictureTooLarge> { PictureDecoder(1000, Alpha.DROP).decode(file) }
        }
    }

    private fun picture(width: Int, height: Int, format: Bitmap.CompressFormat): File {
        val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        bitmap.eraseColor(Color.rgb(10, 120, 230))
        val bytes = ByteArrayOutputStream()
        bitmap.compress(format, 95, bytes)
        return File(app.cacheDir, "picture").apply { writeBytes(bytes.toByteArray()) }
    }

    @Test
    fun `transparency becomes what the profile says`() {
        for (format in listOf(Bitmap.CompressFormat.PNG, Bitmap.CompressFormat.WEBP_LOSSLESS)) {
            val bitmap = Bitmap.createBitmap(2, 1, Bitmap.Config.ARGB_8888)
            bitmap.isPremultiplied = false
            bitmap.setPixel(0, 0, Color.argb(255, 30, 20, 10))
            bitmap.setPixel(1, 0, Color.argb(51, 100, 150, 200))
            val data = ByteArrayOutputStream().also { bitmap.compress(format, 100, it) }.toByteArray()
            val file = File(app.cacheDir, "transparent").apply { writeBytes(data) }
            val laid = bytes(PictureDecoder(1000, Alpha.ON_WHITE).decode(file).image)
            val expected = listOf(200, 150, 100).map { Transparency.onWhite(it, 51).toByte() }
            assertContentEquals(byteArrayOf(10, 20, 30) + expected, laid, format.name)
            val dropped = bytes(PictureDecoder(1000, Alpha.DROP).decode(file).image)
            assertContentEquals(byteArrayOf(10, 20, 30, -56, -106, 100), dropped, format.name)
        }
    }

    @Test
    fun `a GIF is read by Android's decoder with the channels in order`() {
        // One pixel, palette entry 1 = red 200, green 100, blue 50.
        val gif = byteArrayOf(71, 73, 70, 56, 57, 97, 1, 0, 1, 0, -128, 0, 0, 0, 0, 0, -56, 100, 50, 44, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 76, 1, 0, 59)
        val file = File(app.cacheDir, "one.gif").apply { writeBytes(gif) }
        assertContentEquals(byteArrayOf(50, 100, -56), bytes(PictureDecoder(1000, Alpha.DROP).decode(file).image))
    }

    @Test
    fun `each EXIF orientation turns as the standard says`() {
        // Stored 2 x 3: a b / c d / e f. What must come out for tags 1 to 8, row by row.
        val upright = listOf("ab cd ef", "ba dc fe", "fe dc ba", "ef cd ab", "ace bdf", "eca fdb", "fdb eca", "bdf ace")
        for ((index, rows) in upright.withIndex()) {
            val stored = Mat(3, 2, CvType.CV_8UC3)
            for (i in 0 until 6) stored.put(i / 2, i % 2, ByteArray(3) { ('a' + i).code.toByte() })
            val turned = PictureDecoder.turn(stored, index + 1)
            val found = (0 until turned.rows()).joinToString(" ") { y ->
                (0 until turned.cols()).joinToString("") { x -> turned.get(y, x)[0].toInt().toChar().toString() }
            }
            assertEquals(rows, found, "orientation ${index + 1}")
        }
    }

    @Test
    fun `the budget follows the free memory within its limits`() {
        assertEquals(4_000_000L, MemoryBudget.pixels(-5L))
        assertEquals(50_000_000L, MemoryBudget.pixels(1_200_000_000L))
        assertEquals(200_000_000L, MemoryBudget.pixels(Long.MAX_VALUE))
        assertTrue(MemoryBudget.pixels(app) >= 4_000_000L)
    }
}
