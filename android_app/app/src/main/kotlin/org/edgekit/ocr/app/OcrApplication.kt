package org.edgekit.ocr.app

import android.app.Application
import java.io.File

/** Holds what outlives a screen: the bundle, the settings, the kept pictures and the thread that reads them. */
open class OcrApplication : Application() {
    val bundle by lazy { AppBundle(assets, File(codeCacheDir, "models")) }
    val settings by lazy { SettingsStore(this) }
    val sessions by lazy { SessionStore(File(filesDir, "sessions")) }
    val reader by lazy { Reader(this) }
    val photos = PhotoInbox()

    /** In the background the system may ask for memory: then the models go, and the next picture loads them again. */
    override fun onTrimMemory(level: Int) {
        super.onTrimMemory(level)
        if (level >= TRIM_MEMORY_BACKGROUND) reader.alone {}
    }

    /** Loads OpenCV's library; throws [UnsatisfiedLinkError] when the app has none for this processor. */
    open fun loadOpenCv() {
        System.loadLibrary("opencv_java4")
    }
}
