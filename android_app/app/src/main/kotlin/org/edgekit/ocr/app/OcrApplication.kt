package org.edgekit.ocr.app

import android.app.Application
import java.io.File
import java.io.InputStream
import org.edgekit.ocr.OpenCvVersion

/** Holds what outlives a screen: the bundle, the settings, the kept pictures and the thread that reads them. */
open class OcrApplication : Application() {
    val bundle by lazy { AppBundle(File(codeCacheDir, "models"), ::openAsset) }
    val licences by lazy { Licences(::openAsset) }
    val settings by lazy { SettingsStore(this, installed) }
    val sessions by lazy { SessionStore(File(filesDir, "sessions")) }
    val reader by lazy { Reader(this) }
    val disk by lazy { Background() }
    open val pipelines by lazy { Pipelines(bundle, marker) }
    protected val marker by lazy { CrashMarker(File(noBackupFilesDir, "paddle_lite_runs")) }
    val photos = PhotoInbox()

    private val installed by lazy { packageManager.getPackageInfo(packageName, 0).lastUpdateTime }

    override fun onCreate() {
        super.onCreate()
        val ended = marker.take(installed) ?: return
        if (ProcessEnd.byItself(this, ended)) settings.fallBack()
    }

    /**
     * Memory is short: models that are being loaded ahead wait for a picture. In the background those that are loaded
     * go too, and the next picture loads them again.
     */
    @Suppress("DEPRECATION")
    override fun onTrimMemory(level: Int) {
        super.onTrimMemory(level)
        val running = level == TRIM_MEMORY_RUNNING_LOW || level == TRIM_MEMORY_RUNNING_CRITICAL
        if (running || level >= TRIM_MEMORY_BACKGROUND) reader.cancelWarmUp()
        if (level >= TRIM_MEMORY_BACKGROUND) reader.letGo()
    }

    /**
     * Loads OpenCV's library. Throws [UnsatisfiedLinkError] when the app has none for this processor, `OcrException`
     * when it is of another version than the one whose numbers are proven.
     */
    fun loadOpenCv() {
        loadLibrary()
        checkLibrary()
    }

    protected open fun checkLibrary() = OpenCvVersion.check()

    protected open fun openAsset(name: String): InputStream = assets.open(name)

    protected open fun loadLibrary() {
        System.loadLibrary("opencv_java4")
    }
}
