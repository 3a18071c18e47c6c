package org.edgekit.ocr.app

import android.content.Context
import java.io.FileNotFoundException
import java.io.IOException
import java.util.concurrent.ExecutionException
import org.edgekit.ocr.BundleException
import org.edgekit.ocr.EngineException
import org.edgekit.ocr.ImageException
import org.edgekit.ocr.ModelException
import org.edgekit.ocr.OcrException
import org.edgekit.ocr.SpecException
import org.opencv.core.CvException

/** What the user reads of a fault: a sentence in their language, then the exact words. */
object Messages {
    private const val MOST_CAUSES = 10

    fun of(context: Context, error: Throwable): String {
        val cause = if (error is ExecutionException) error.cause ?: error else error
        val details = listOfNotNull(cause.message ?: cause.javaClass.simpleName, (cause as? OcrException)?.hint)
        return context.getString(sentence(cause)) + "\n" +
            context.getString(R.string.error_details, details.joinToString(". "))
    }

    private fun sentence(error: Throwable): Int = when {
        lacksMemory(error) -> R.string.error_memory
        error is OcrException -> sentence(error)
        error is PictureTooLarge -> R.string.error_image_huge
        error is LinkageError -> R.string.error_native
        error is FileNotFoundException || error is SecurityException || error is PictureGone -> R.string.error_open
        error is IOException -> R.string.error_storage
        else -> R.string.error_unknown
    }

    /** Whether memory ran out somewhere below: Java's own, or that of OpenCV, whose error -4 it is. */
    fun lacksMemory(error: Throwable): Boolean = generateSequence(error) { it.cause }.take(MOST_CAUSES).any {
        it is OutOfMemoryError || it is CvException && "(-4:" in it.message.orEmpty()
    }

    private fun sentence(error: OcrException): Int = when (error) {
        is ImageException -> R.string.error_image
        is SpecException -> R.string.error_spec
        is ModelException -> R.string.error_model
        is EngineException -> R.string.error_engine
        is BundleException -> R.string.error_bundle
    }

    /** Returns the engine's name as shown. */
    fun engine(context: Context, engine: String): String = context.getString(
        if (engine == ENGINE_PADDLE_LITE) R.string.engine_paddle_lite else R.string.engine_opencv,
    )
}
