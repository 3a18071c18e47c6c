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

/** What the user reads of a fault: a sentence in their language, then the exact words. */
object Messages {
    fun of(context: Context, error: Throwable): String {
        val cause = if (error is ExecutionException) error.cause ?: error else error
        val details = listOfNotNull(cause.message ?: cause.javaClass.simpleName, (cause as? OcrException)?.hint)
        return context.getString(sentence(cause)) + "\n" +
            context.getString(R.string.error_details, details.joinToString(". "))
    }

    private fun sentence(error: Throwable): Int = when (error) {
        is OcrException -> sentence(error)
        is PictureTooLarge -> R.string.error_image_huge
        is OutOfMemoryError -> R.string.error_memory
        is LinkageError -> R.string.error_native
        is FileNotFoundException, is SecurityException -> R.string.error_open
        is IOException -> R.string.error_storage
        else -> R.string.error_unknown
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
